package codepage

// The encodings of this package, for tests that ask more of them than of x/text's.
func (*singleByte) own() {}
func (*doubleByte) own() {}
func (*host) own()       {}
func (eucTW) own()       {}
func (utf7) own()        {}
func (*iso2022) own()    {}
