// Package message turns the bytes of a mail into a Message, whatever is wrong
// with them.
//
// Reading is tolerant the way mail readers are: it never fails, it never
// panics, and it never loses text. What had to be mended is named in
// Message.Defects by short words that the table Defects explains. The reader is
// the package's own because the libraries at hand refuse or empty what real
// mail is full of: a header line without a colon, a boundary that never comes,
// an RFC 2231 parameter that is not UTF-8, a page that only the user knows.
//
// A message goes through it in this order:
//
//   - header.go splits a header section into fields;
//   - walk.go goes once over the raw bytes, part by part, and hands each leaf on;
//   - leaf.go decides whether a leaf is text or an attachment;
//   - transfer.go undoes base64, quoted-printable and uuencode as a stream;
//   - charset.go, word.go, parameter.go, address.go and date.go make characters of bytes;
//   - flowed.go and html.go make readable text of the text;
//   - uu.go and tnef.go (with rtf.go) take files and text out of what mail was
//     before MIME, and out of winmail.dat.
//
// An attachment is never held decoded: its size and hash come of one pass over
// the raw bytes, and Attachment.Open makes another.
//
// Every length, depth and count has a limit in limit.go, with a defined end: the
// defect says which limit it was, the raw message still has everything. Reading
// takes time in proportion to the message's size and at most four times its
// memory (32 MiB where that is more).
package message
