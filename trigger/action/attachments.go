package action

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"mailtrigger/connection/setting"
)

// SaveAttachments keeps attachments as files, byte for byte.
type SaveAttachments struct {
	Common
	Place
	Include []string     `toml:"include,scalar"` // masks of names: *.pdf
	Exclude []string     `toml:"exclude,scalar"`
	Regex   string       `toml:"regex"`        // of names
	Types   []string     `toml:"types,scalar"` // masks of content types: image/*
	MinSize setting.Size `toml:"min_size"`
	MaxSize setting.Size `toml:"max_size"` // 0: no limit
	Inline  bool         `toml:"inline"`   // those too that are shown in the text

	selection
}

// SetDefaults implements Definition.
func (a *SaveAttachments) SetDefaults() {
	a.Place.setDefaults(&a.Common, "{{.Attachment.Name}}")
}

// Validate implements Definition.
func (a *SaveAttachments) Validate() []setting.Problem {
	problems := a.check(needs{message: true})
	sample := a.sample()
	for _, one := range perAttachment(sample, &selection{}) {
		sample = one
	}
	problems = append(problems, a.Place.validate(sample)...)
	a.selection = selection{min: int64(a.MinSize), max: int64(a.MaxSize), noInline: !a.Inline}
	for _, m := range []struct {
		key  string
		from []string
		to   *masks
	}{{"include", a.Include, &a.include}, {"exclude", a.Exclude, &a.exclude}, {"types", a.Types, &a.types}} {
		var found []setting.Problem
		*m.to, found = newMasks(m.key, m.from)
		problems = append(problems, found...)
	}
	if a.Regex != "" {
		var err error
		if a.regex, err = regexp.Compile(a.Regex); err != nil {
			problems = append(problems, setting.Problem{Key: "regex", Text: fmt.Sprintf("is no regular expression of RE2: %v", err)})
		}
	}
	if a.MaxSize > 0 && a.MinSize > a.MaxSize {
		problems = append(problems, setting.Problem{Key: "min_size", Text: fmt.Sprintf("%s is more than max_size, %s", a.MinSize, a.MaxSize)})
	}
	return problems
}

// Run implements Local.
func (a *SaveAttachments) Run(ctx context.Context, r *Run) Result {
	r.begun()
	if r.Event.Message == nil {
		return dead(errNoMessage)
	}
	in := newInstallation(ctx, r)
	files := map[int]*file{} // by attachment
	end, failed := Result{}, -1
	for i, e := range perAttachment(r.Event, &a.selection) {
		levels, name, err := a.where(ctx, e)
		if err != nil {
			end, failed = unmade(ctx, err), i
			break
		}
		files[i] = a.file(r.Env, levels, name, fmt.Sprintf("%s-%d", r.Key, i), e.Attachment.Size, e.Attachment.Open)
		if !in.add(files[i]) {
			break
		}
	}
	if f, err := in.finish(); err != nil {
		end = retry(err)
		for i := range files {
			if files[i] == f {
				failed = i
			}
		}
	}
	return a.result(r, files, end, failed)
}

// result is the end of an attempt, of which one attachment has failed, or none (-1). What
// was saved before it stays, and is found again by the next attempt.
func (a *SaveAttachments) result(r *Run, files map[int]*file, end Result, failed int) Result {
	end.Paths = map[int]string{}
	var kept []string
	for _, i := range slices.Sorted(maps.Keys(files)) {
		switch f := files[i]; {
		case f.placed:
			end.Paths[i] = filepath.Join(f.path, f.made)
			end.Saved = append(end.Saved, end.Paths[i])
		case end.Outcome == Done:
			kept = append(kept, filepath.Join(f.path, f.name)+" was there and is kept\n")
		}
	}
	end.Output = []byte(strings.Join(kept, ""))
	if failed >= 0 {
		end.Err = fmt.Errorf("attachment %q: %w", setting.Printable(r.Event.Message.Attachments[failed].Name, 100), end.Err)
	}
	return end
}

// Describe implements Local: one path a line, as long as nothing has that name.
func (a *SaveAttachments) Describe(r *Run) (string, error) {
	saved, _, err := a.WouldSave(r)
	if err != nil {
		return "", err
	}
	return cmp.Or(strings.Join(saved, "\n"), "nothing: no attachment is chosen"), nil
}

// WouldSave implements Saver.
func (a *SaveAttachments) WouldSave(r *Run) (saved []string, paths map[int]string, err error) {
	if r.Event.Message == nil {
		return nil, nil, errNoMessage
	}
	paths = map[int]string{}
	for i, e := range perAttachment(r.Event, &a.selection) {
		levels, name, err := a.where(context.Background(), e)
		if err != nil {
			return nil, nil, err
		}
		for n := 0; ; n++ {
			path := a.absolute(r.Env, levels, numbered(name, n))
			if !slices.Contains(saved, path) {
				saved, paths[i] = append(saved, path), path
				break
			}
		}
	}
	return saved, paths, nil
}
