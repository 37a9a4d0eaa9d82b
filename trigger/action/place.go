package action

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"mailtrigger/connection/setting"
	"mailtrigger/trigger/event"
	"mailtrigger/trigger/message"
)

// What to do where a file's name is taken.
const (
	conflictNumber    = "number" // name-1.pdf, name-2.pdf, ...
	conflictOverwrite = "overwrite"
	conflictSkip      = "skip" // keep what is there
)

// The limits of names.
const (
	maxNumber   = 10_000 // of name-N
	maxDepth    = 16     // subdirectories
	maxFileName = 255    // bytes
)

// A Place is where save and save_attachments put files.
type Place struct {
	Directory     string `toml:"directory,path"`
	Subdirectory  string `toml:"subdirectory"` // template; its slashes make levels, those of a mail's text do not
	FileName      string `toml:"file_name"`    // template; see placeName
	OnConflict    string `toml:"on_conflict"`
	FileMode      string `toml:"file_mode"`      // octal, default 0640
	DirectoryMode string `toml:"directory_mode"` // octal, default 0750; of the directories that are made

	subdirectory, name      *text
	fileMode, directoryMode fs.FileMode
}

// placeName sorts out the key name, which every action has, and which for these is
// the template of the file's name too: a name with a template or a dot is the
// file's, any other the action's. Who wants both writes the file's as file_name.
func (p *Place) placeName(c *Common, standard string) {
	if p.FileName == "" && strings.ContainsAny(c.Name, "{.") {
		p.FileName, c.Name = c.Name, c.Type
	}
	setDefault(&p.FileName, standard)
}

func (p *Place) setDefaults(c *Common, standard string) {
	p.placeName(c, standard)
	c.SetDefaults()
	setDefault(&p.OnConflict, conflictNumber)
	setDefault(&p.FileMode, "0640")
	setDefault(&p.DirectoryMode, "0750")
}

// Distinguish gives the second and each further action of a list that is called
// after its type, because its key name is a file's name, a name of its own:
// save-2, save-3. Call it once the defaults are set.
func Distinguish(list []Definition) {
	count := map[string]int{}
	for _, d := range list {
		c := d.Base()
		if c.Type != "save" && c.Type != "save_attachments" || c.Name != c.Type {
			continue
		}
		if count[c.Type]++; count[c.Type] > 1 {
			c.Name += "-" + strconv.Itoa(count[c.Type])
		}
	}
}

// validate checks the keys; sample is the event for the templates.
func (p *Place) validate(sample *event.Event) (problems []setting.Problem) {
	problem := func(key, format string, args ...any) {
		problems = append(problems, setting.Problem{Key: key, Text: fmt.Sprintf(format, args...)})
	}
	if p.Directory == "" {
		problem("directory", "say where to, a fixed directory; what depends on the mail goes into subdirectory and name")
	} else if isTemplateText(p.Directory) {
		problem("directory", "is fixed, so that no mail chooses where files go; put the template into subdirectory")
	}
	problems = append(problems, setting.OneOf("on_conflict", p.OnConflict, []string{conflictNumber, conflictOverwrite, conflictSkip})...)
	for _, m := range []struct {
		key, text string
		mode      *fs.FileMode
		least     uint64 // what the daemon itself needs
	}{{"file_mode", p.FileMode, &p.fileMode, 0o200}, {"directory_mode", p.DirectoryMode, &p.directoryMode, 0o300}} {
		n, err := strconv.ParseUint(m.text, 8, 32)
		if err != nil || n > 0o777 || n&m.least != m.least {
			problem(m.key, `%q is not a mode; write octal digits as a string, with at least %04o: "0640"`, m.text, m.least)
		}
		*m.mode = fs.FileMode(n)
	}
	var err error
	if p.subdirectory, err = newText(p.Subdirectory, maxText, "component"); err == nil {
		err = p.subdirectory.check(sample)
	}
	if err != nil {
		problem("subdirectory", "%v", err)
	} else if filepath.IsAbs(p.Subdirectory) {
		problem("subdirectory", "%q is absolute; it is below directory", p.Subdirectory)
	}
	if p.name, err = newText(p.FileName, maxText, ""); err == nil {
		err = p.name.check(sample)
	}
	if err != nil {
		problem("name", "%v", err)
	}
	return problems
}

// where returns the levels below Directory and the file's name for an event.
func (p *Place) where(ctx context.Context, e *event.Event) (levels []string, name string, err error) {
	sub, err := p.subdirectory.run(ctx, e)
	if err != nil {
		return nil, "", fmt.Errorf("subdirectory: %w", err)
	}
	for _, level := range strings.Split(sub, "/") {
		if level = strings.TrimSpace(level); level != "" && level != "." {
			levels = append(levels, safeName(level))
		}
	}
	if len(levels) > maxDepth {
		return nil, "", fmt.Errorf("subdirectory: %d levels are more than %d", len(levels), maxDepth)
	}
	if name, err = p.name.run(ctx, e); err != nil {
		return nil, "", fmt.Errorf("name: %w", err)
	}
	return levels, safeName(name), nil
}

// file returns a file to be placed; part tells it from the others of its message.
func (p *Place) file(env Env, levels []string, name, identity string, size int64, open func() io.Reader) *file {
	return &file{
		root: p.root(env), levels: levels, path: p.absolute(env, levels, ""), name: name,
		identity: identity, size: size, open: open,
		conflict: p.OnConflict, fileMode: p.fileMode, directoryMode: p.directoryMode,
	}
}

// absolute returns the path of a file placed.
func (p *Place) absolute(env Env, levels []string, name string) string {
	return filepath.Join(p.root(env), filepath.Join(levels...), name)
}

// root returns Directory as an absolute path.
func (p *Place) root(env Env) string {
	if filepath.IsAbs(p.Directory) {
		return filepath.Clean(p.Directory)
	}
	dir := filepath.Join(env.BaseDir, p.Directory)
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

// component makes any text a part of a level: what would end it becomes "_".
func component(s string) string { return strings.NewReplacer("/", "_", `\`, "_").Replace(s) }

// safeName is message.SafeName for what a mail names; such a file is never hidden,
// nor can it be taken for one of the temporary ones.
func safeName(s string) string {
	s = message.SafeName(s)
	if hidden, ok := strings.CutPrefix(s, "."); ok {
		s = "_" + hidden
	}
	return s
}

// numbered returns the nth name to try: name.pdf, name-1.pdf, name-2.pdf.
func numbered(name string, n int) string {
	if n == 0 {
		return name
	}
	ext := path.Ext(name)
	base, tail := strings.TrimSuffix(name, ext), "-"+strconv.Itoa(n)+ext
	for len(base)+len(tail) > maxFileName && base != "" {
		_, size := utf8.DecodeLastRuneInString(base)
		base = base[:len(base)-size]
	}
	return base + tail
}

// fileError says which file could not be made, and what to do.
func fileError(what string, err error) error {
	return fmt.Errorf("%s: %w%s", what, err, fileHint(err))
}

func fileHint(err error) string {
	switch {
	case isFull(err):
		return "; free some space"
	case isReadOnly(err):
		return "; in a systemd unit, name the directory in ReadWritePaths="
	case errors.Is(err, fs.ErrPermission):
		return "; let the daemon's user write there"
	case strings.Contains(err.Error(), "escapes from parent"):
		return "; a symbolic link leads out of the directory, and is not followed"
	}
	return ""
}
