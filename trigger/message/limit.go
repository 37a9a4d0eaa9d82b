package message

// The limits of reading. Beyond them the message is still read as far as it
// goes, and a defect says which limit it was.
const (
	// MaxHeaderSize is how many bytes of a message's header section are read.
	// The fields beyond are skipped, the body is still found.
	MaxHeaderSize = 1 << 20
	// MaxHeaderFields is how many fields of a message's header section are read.
	MaxHeaderFields = 5000
	// MaxPartHeaderSize is how many bytes of a part's header section are read.
	MaxPartHeaderSize = 64 << 10
	// MaxPartHeaderFields is how many fields of a part's header section are read.
	MaxPartHeaderFields = 200
	// MaxParts is how many leaf parts are looked at; those that follow are left out.
	MaxParts = 1000
	// MaxDepth is how deep multiparts and messages are looked into; what is
	// nested deeper is one attachment.
	MaxDepth = 64
	// MaxMessages is how deep messages within messages are looked into: each
	// is hashed as a whole.
	MaxMessages = 10
	// MaxParameters is how many parameters of a field are read, each piece of
	// an RFC 2231 continuation counted.
	MaxParameters = 200
	// MaxAddresses is how many addresses of all fields of one name are read.
	MaxAddresses = 10000
	// MaxText is how many bytes the text, and again the HTML, may have.
	MaxText = 8 << 20
	// MaxRTF is how many bytes of compressed RTF are unpacked.
	MaxRTF = 2 << 20
	// MaxName is how many bytes an attachment's name, type or content id may have.
	MaxName = 4 << 10
	// MaxDecoded is how many bytes of parts that have to be decoded to be looked
	// into (messages in base64, winmail.dat) are decoded in all, at one time.
	MaxDecoded = 64 << 20
)
