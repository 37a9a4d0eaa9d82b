package message

import (
	"slices"

	"mailtrigger/codepage"
)

// The words of Message.Defects.
const (
	DefectAddress         = "address"
	DefectAddressLimit    = "address-limit"
	DefectBase64          = "base64"
	DefectBoundary        = "boundary"
	DefectBoundaryEnd     = "boundary-end"
	DefectContentType     = "content-type"
	DefectDate            = "date"
	DefectDepthLimit      = "depth-limit"
	DefectEncodedWord     = "encoded-word"
	DefectFieldRepeated   = "field-repeated"
	DefectHeader8Bit      = "header-8bit"
	DefectHeaderEnd       = "header-end"
	DefectHeaderLimit     = "header-limit"
	DefectHeaderLine      = "header-line"
	DefectHeaderMissing   = "header-missing"
	DefectHeaderName      = "header-name"
	DefectLineEnd         = "line-end"
	DefectMbox            = "mbox-from"
	DefectNameLimit       = "name-limit"
	DefectParameter       = "parameter"
	DefectParameterLimit  = "parameter-limit"
	DefectPartLimit       = "part-limit"
	DefectQuotedPrintable = "quoted-printable"
	DefectRaw             = "raw"
	DefectTextLimit       = "text-limit"
	DefectTNEF            = "tnef"
	DefectTransfer        = "transfer-encoding"
	DefectUUEncode        = "uuencode"
)

// Defects explains every word that Message.Defects may hold.
var Defects = map[string]string{
	DefectAddress:         "an address list was malformed and was read by guess",
	DefectAddressLimit:    "a field had more addresses than are read",
	DefectBase64:          "base64 had characters that are not its own, bad padding or a cut end; the rest was decoded",
	DefectBoundary:        "a multipart's boundary was missing or wrong; it was guessed, or the body is read as text",
	DefectBoundaryEnd:     "a multipart was not ended by its closing boundary: the message may be cut short",
	DefectContentType:     "a Content-Type could not be read; the part was taken as plain text",
	DefectDate:            "the Date field could not be read",
	DefectDepthLimit:      "parts were nested deeper than is looked into; the innermost are one attachment",
	DefectEncodedWord:     "an encoded word (RFC 2047) was malformed or in a place where none may be, and was decoded all the same",
	DefectFieldRepeated:   "a field that may be there once was repeated; the first counts",
	DefectHeader8Bit:      "a header field had raw bytes that are not UTF-8, or escapes; they were read with the body's charset or the code page",
	DefectHeaderEnd:       "no empty line stood between a header and its body",
	DefectHeaderLimit:     "a header had more bytes or fields than are read; the fields beyond were skipped",
	DefectHeaderLine:      "a header line was no field; it was added to the field before it or skipped",
	DefectHeaderMissing:   "the message has no header; all of it is text",
	DefectHeaderName:      "a header field's name had characters that none may have",
	DefectLineEnd:         "lines ended in bare CR, or a bare CR stood in a header field",
	DefectMbox:            "an mbox \"From \" line stood above the header and was skipped",
	DefectNameLimit:       "an attachment's name, type or content id was cut to the length that is kept",
	DefectParameter:       "a parameter of a MIME field was malformed and was read by guess",
	DefectParameterLimit:  "a MIME field had more parameters than are read",
	DefectPartLimit:       "the message had more parts than are read; those beyond were left out",
	DefectQuotedPrintable: "quoted-printable had escapes that are none; they were kept as they are",
	DefectRaw:             "the message could not be read as mail; its text is the raw bytes",
	DefectTextLimit:       "the text was longer than is kept and was cut",
	DefectTNEF:            "a winmail.dat was malformed; what could be read of it was unpacked",
	DefectTransfer:        "a Content-Transfer-Encoding was unknown or did not fit; the bytes were taken as they are",
	codepage.Undeclared:   "a text or name had bytes above ASCII or escapes, but declared no charset",
	codepage.Unknown:      "a declared charset is not known",
	codepage.Contradicted: "the bytes of a text or name could not be in the declared charset and were read with another",
	codepage.Undecodable:  "some bytes mean nothing in the charset that was used; each became U+FFFD",
	DefectUUEncode:        "a uuencoded file in the text had no end or bad lines; what could be read was decoded",
}

// defects gathers words, each once.
type defects []string

func (d *defects) add(word string) {
	if word != "" && !slices.Contains(*d, word) {
		*d = append(*d, word)
	}
}

// any reports whether one of the words is among them.
func (d defects) any(words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(d, w) })
}

// list returns the words sorted, never nil.
func (d defects) list() []string {
	l := append([]string{}, d...)
	slices.Sort(l)
	return l
}
