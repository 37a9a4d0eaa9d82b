package message

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxSafeName is how many bytes SafeName's result has at most: file systems
// end at 255, and who saves a file may have to add a number or a suffix.
const maxSafeName = 199

// SafeName makes a file name of any text that is good on every file system: no
// path, no control, invisible or reserved character, no name that Windows keeps
// for itself, no dot or blank at its ends, at most 199 bytes with the extension
// kept, never empty. It is idempotent. Different names may become the same.
func SafeName(name string) string {
	name = strings.ToValidUTF8(name, "_")
	if strings.HasPrefix(name, "/") || strings.HasPrefix(name, `\`) || strings.HasPrefix(name, "..") ||
		len(name) > 2 && name[1] == ':' && (name[2] == '\\' || name[2] == '/') {
		// A path of the sender's machine. In other names a slash is text: 12/2024.
		name = name[strings.LastIndexAny(name, `/\`)+1:]
	}
	name = strings.Map(safeRune, name)
	name = strings.Join(strings.Fields(name), " ")
	if name = trimName(name); reserved(name) {
		name = "_" + name
	}
	name = trimName(shorten(name))
	if name == "" {
		return "attachment"
	}
	return name
}

// safeRune replaces characters that some file system or reader of a listing takes amiss.
func safeRune(c rune) rune {
	switch {
	case strings.ContainsRune(`<>:"/\|?*`, c):
		return '_'
	case unicode.IsSpace(c):
		return ' '
	case unicode.IsControl(c), c == utf8.RuneError:
		return '_'
	case unicode.Is(unicode.Cf, c), unicode.Is(unicode.Co, c), c >= 0xfe00 && c <= 0xfe0f, c&0xfffe == 0xfffe,
		c == '\u115f', c == '\u1160', c == '\u3164', c == '\uffa0':
		return -1 // overrides of direction, joiners, fillers: nobody sees them
	}
	return c
}

// trimName takes off what Windows would silently drop, what hides a file, and
// what a command would take as an option.
func trimName(s string) string {
	return strings.TrimLeft(strings.TrimRight(s, ". "), ". -~")
}

// shorten cuts a name to its limit, on a character's border, in front of the extension.
func shorten(s string) string {
	if len(s) <= maxSafeName {
		return s
	}
	ext := ""
	if i := strings.LastIndexByte(s, '.'); i > 0 && len(s)-i <= 20 {
		ext = s[i:]
	}
	s, _ = cut(s, maxSafeName-len(ext))
	return strings.TrimRight(s, ". ") + ext
}

// reserved reports whether Windows takes a name as a device, with any extension.
func reserved(name string) bool {
	base, _, _ := strings.Cut(name, ".")
	base = strings.ToUpper(strings.TrimRight(base, " "))
	switch base {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$":
		return true
	}
	port, ok := strings.CutPrefix(base, "COM")
	if !ok {
		port, ok = strings.CutPrefix(base, "LPT")
	}
	return ok && utf8.RuneCountInString(port) == 1 && strings.ContainsAny(port, "0123456789¹²³")
}
