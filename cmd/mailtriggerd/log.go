package main

import (
	"io"
	"log/slog"
	"os"

	"mailtrigger/cmd/mailtriggerd/internal/config"
)

// newLogger makes the daemon's logger. Under systemd the journal stamps each line
// itself and takes the priority from a prefix.
func newLogger(w io.Writer, cfg config.LogConfig) *slog.Logger {
	o := &slog.HandlerOptions{Level: cfg.Level}
	journald := w == os.Stderr && os.Getenv("JOURNAL_STREAM") != ""
	if journald {
		o.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey && len(groups) == 0 {
				return slog.Attr{}
			}
			return a
		}
		w = &priorityWriter{w: w}
	}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
