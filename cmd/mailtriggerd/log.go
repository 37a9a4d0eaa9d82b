package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"syscall"

	"mailtrigger/cmd/mailtriggerd/internal/config"
)

// newLogger makes the daemon's logger. Under systemd the journal stamps each line
// itself and takes the priority from a prefix. The level can be set while it is used.
func newLogger(w io.Writer, cfg config.LogConfig) (*slog.Logger, *slog.LevelVar) {
	level := &slog.LevelVar{}
	level.Set(cfg.Level.Level())
	o := &slog.HandlerOptions{Level: level}
	if w == os.Stderr && isJournal(os.Stderr, os.Getenv("JOURNAL_STREAM")) {
		o.ReplaceAttr = withoutTime
		w = &priorityWriter{w: w}
	}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o)), level
	}
	return slog.New(slog.NewTextHandler(w, o)), level
}

func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 {
		return slog.Attr{}
	}
	return a
}

// isJournal reports whether f is the journal's socket: systemd.exec(5) gives its
// device and inode in JOURNAL_STREAM, as a redirected stderr keeps the variable.
func isJournal(f *os.File, stream string) bool {
	info, err := f.Stat()
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && stream == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}
