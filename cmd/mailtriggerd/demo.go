package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mailtrigger/connection/connectiontest"
)

// The demo's config and mail, as a person would write and receive them.
//
//go:embed demo
var demoFiles embed.FS

const (
	demoUser  = "demo"
	demoPause = 3 * time.Second // between two mails
)

// runDemo shows the daemon at work with nothing set up: it starts a mail server of
// its own, writes a config, runs the daemon on it, and lets mail arrive.
func (c *call) runDemo(ctx context.Context) int {
	dir, err := os.MkdirTemp("", "mailtriggerd-demo-")
	if err != nil {
		c.problem("%v", err)
		return exitFailed
	}
	defer os.RemoveAll(dir)
	srv, err := connectiontest.NewServer(connectiontest.Options{})
	if err != nil {
		c.problem("start the demo's mail server: %v", err)
		return exitFailed
	}
	defer srv.Close()
	srv.AddUser(demoUser, "demo-password")
	config, err := writeDemo(dir, srv)
	if err != nil {
		c.problem("%v", err)
		return exitFailed
	}
	fmt.Fprintf(c.stdout, "A mail server of the demo's own runs at %s. The daemon's config:\n\n%s\n", srv.Addr(), indent(config))
	fmt.Fprintf(c.stdout, "Mail arrives every %s; what follows is the daemon's log, with the address of its status page. Ctrl-C ends the demo.\n\n", demoPause)

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	delivered := make(chan struct{})
	go func() {
		defer close(delivered)
		c.deliverDemo(ctx, srv)
	}()
	d := &call{config: filepath.Join(dir, "config.toml"), stdout: c.stdout, stderr: c.stderr}
	code := d.runDaemon(ctx)
	stop()
	<-delivered
	fmt.Fprintln(c.stdout, "\nThe demo has ended and left nothing behind. README.md says how to write a config of your own.")
	return code
}

// writeDemo writes the daemon's config and what it needs, and returns the config.
func writeDemo(dir string, srv *connectiontest.Server) (string, error) {
	template, err := demoFiles.ReadFile("demo/config.toml")
	if err != nil {
		return "", err
	}
	host, port, _ := strings.Cut(srv.Addr(), ":")
	config := strings.NewReplacer("@HOST@", host, "@PORT@", port).Replace(string(template))
	for name, content := range map[string][]byte{
		"config.toml": []byte(config), "ca.pem": srv.CACert(), "password": []byte("demo-password\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return "", err
		}
	}
	return config, nil
}

// deliverDemo delivers the demo's mails in turn until ctx ends.
func (c *call) deliverDemo(ctx context.Context, srv *connectiontest.Server) {
	mails, err := fs.Glob(demoFiles, "demo/*.eml")
	if err != nil || len(mails) == 0 {
		return
	}
	wait := 500 * time.Millisecond
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = demoPause
		raw, err := demoFiles.ReadFile(mails[i%len(mails)])
		if err != nil {
			return
		}
		now := time.Now()
		head := fmt.Sprintf("Date: %s\r\nMessage-ID: <%d.demo@demo.example>\r\n", now.Format(time.RFC1123Z), now.UnixNano())
		srv.Append(demoUser, "INBOX", append([]byte(head), raw...), nil, now)
	}
}

func indent(s string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n    ") + "\n"
}
