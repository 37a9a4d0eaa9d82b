package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-message"
)

// The programs that the daemon is compared with: the least that does the same, without
// a journal, a guard, metrics or a reconnect. Each runs in a process of its own, prints
// one line once it is ready, and ends when its standard input does.

// An errand is what such a program is to do.
type errand struct {
	Address string
	CA      string // file
	Account int
	Command []string // of minimal
	Env     []string // of Command
	Parallel,
	Sessions int // of bare logins
	Addresses []string
	Parse     bool // of stream: each message
}

func (e *errand) tls() (*tls.Config, error) {
	pem, err := os.ReadFile(e.CA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: roots}, nil
}

// dial logs in and selects INBOX with go-imap.
func (e *errand) dial(options *imapclient.Options) (*imapclient.Client, error) {
	config, err := e.tls()
	if err != nil {
		return nil, err
	}
	options.TLSConfig = config
	c, err := imapclient.DialTLS(e.Address, options)
	if err != nil {
		return nil, err
	}
	if err := c.Login("u"+strconv.Itoa(e.Account), "secret").Wait(); err != nil {
		return nil, err
	}
	_, err = c.Select("INBOX", nil).Wait()
	return c, err
}

// minimalRole idles, fetches what is new, and runs a process for each message, at
// most Parallel at once.
func minimalRole(e *errand) error {
	news := make(chan struct{}, 1)
	c, err := e.dial(&imapclient.Options{UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(*imapclient.UnilateralDataMailbox) {
			select {
			case news <- struct{}{}:
			default:
			}
		},
	}})
	if err != nil {
		return err
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println("ready")
	slots := make(chan struct{}, e.Parallel)
	for last := uint32(0); ; {
		idle, err := c.Idle()
		if err != nil {
			return err
		}
		<-news
		if err := idle.Close(); err != nil {
			return err
		}
		if err := idle.Wait(); err != nil {
			return err
		}
		fetch := c.Fetch(imap.UIDSet{imap.UIDRange{Start: imap.UID(last + 1), Stop: 0}}, &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{{Peek: true}}})
		for msg := fetch.Next(); msg != nil; msg = fetch.Next() {
			m, err := msg.Collect()
			if err != nil {
				return err
			}
			if uint32(m.UID) <= last || len(m.BodySection) == 0 {
				continue
			}
			last = uint32(m.UID)
			slots <- struct{}{}
			run := func() {
				defer func() { <-slots }()
				cmd := exec.Command(e.Command[0], e.Command[1:]...)
				cmd.Env = append(os.Environ(), append(e.Env, fmt.Sprintf("MAILTRIGGER_UID=%d", m.UID))...)
				cmd.Stdin = bytes.NewReader(m.BodySection[0].Bytes)
				if err := cmd.Run(); err != nil {
					fmt.Fprintln(os.Stderr, "minimal client:", err)
				}
			}
			if e.Parallel == 1 {
				run()
			} else {
				go run()
			}
		}
		if err := fetch.Close(); err != nil {
			return err
		}
	}
}

// bareRole logs in to the accounts 0 to Sessions-1 over TLS, selects INBOX and idles.
// It reads and writes lines, no more.
func bareRole(e *errand) error {
	config, err := e.tls()
	if err != nil {
		return err
	}
	conns := make([]*tls.Conn, e.Sessions)
	errs := make(chan error, e.Sessions)
	slots := make(chan struct{}, 32)
	var wg sync.WaitGroup
	for i := range conns {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			conn, err := bareLogin(e.Addresses[i%len(e.Addresses)], config, i)
			if err != nil {
				errs <- err
			}
			conns[i] = conn
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	return nil
}

func bareLogin(address string, config *tls.Config, account int) (*tls.Conn, error) {
	c, err := tls.Dial("tcp", address, config)
	if err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(c, 512)
	if _, err := r.ReadString('\n'); err != nil {
		return nil, err
	}
	for _, command := range []string{fmt.Sprintf("LOGIN u%d secret", account), "SELECT INBOX", "IDLE"} {
		if _, err := io.WriteString(c, "a "+command+"\r\n"); err != nil {
			return nil, err
		}
		for answered := false; !answered; {
			line, err := r.ReadString('\n')
			if err != nil {
				return nil, err
			}
			answered = strings.HasPrefix(line, "a OK") || strings.HasPrefix(line, "+")
		}
	}
	return c, nil
}

// streamRole reads all messages in one FETCH, parses them if told to, keeps nothing, and
// prints how many seconds that took.
func streamRole(e *errand) error {
	c, err := e.dial(&imapclient.Options{})
	if err != nil {
		return err
	}
	started := time.Now()
	fetch := c.Fetch(imap.UIDSet{imap.UIDRange{Start: 1, Stop: 0}}, &imap.FetchOptions{UID: true, Flags: true, InternalDate: true, RFC822Size: true,
		BodySection: []*imap.FetchItemBodySection{{Peek: true}}})
	for msg := fetch.Next(); msg != nil; msg = fetch.Next() {
		for item := msg.Next(); item != nil; item = msg.Next() {
			body, ok := item.(imapclient.FetchItemDataBodySection)
			switch {
			case ok && e.Parse:
				if err := parse(body.Literal); err != nil {
					return err
				}
			case ok:
				io.Copy(io.Discard, body.Literal)
			}
		}
	}
	if err := fetch.Close(); err != nil {
		return err
	}
	fmt.Println(time.Since(started).Seconds())
	return nil
}

// parse decodes all parts of a message with go-message.
func parse(r io.Reader) error {
	m, err := message.Read(r)
	if err != nil {
		return err
	}
	return m.Walk(func(_ []int, part *message.Entity, err error) error {
		if err == nil && part.MultipartReader() == nil {
			_, err = io.Copy(io.Discard, part.Body)
		}
		return err
	})
}
