package connection_test

import (
	"context"
	"fmt"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/connectiontest"
	"mailtrigger/connection/wire"
)

// Watch a mailbox, and read what comes.
func ExampleDialer_Watch() {
	srv, err := connectiontest.NewServer(connectiontest.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	srv.AddUser("alice", "secret")
	cfg := srv.Config("alice")

	d, err := connection.NewDialer(connection.DialerOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	var last uint32
	read := make(chan string)
	w := d.Watch(cfg, "INBOX", func(ctx context.Context, mb *connection.Mailbox, _ wire.Wake) error {
		infos, err := mb.List(ctx, last)
		if err != nil {
			return err
		}
		for _, info := range infos {
			if err := mb.Fetch(ctx, []uint32{info.UID}, func(b connection.Body) error {
				read <- string(b.Raw)
				return nil
			}); err != nil {
				return err
			}
			last = info.UID
		}
		return nil
	})
	srv.Append("alice", "INBOX", []byte("Subject: hello\r\n\r\n"), nil, time.Time{})
	fmt.Printf("%q\n", <-read)
	if err := w.Close(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output: "Subject: hello\r\n\r\n"
}

// Move a message on a session of its own.
func ExampleDialer_Do() {
	srv, err := connectiontest.NewServer(connectiontest.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	srv.AddUser("alice", "secret")
	uid := srv.Append("alice", "INBOX", []byte("Subject: hello\r\n\r\n"), nil, time.Time{})

	d, err := connection.NewDialer(connection.DialerOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	err = d.Do(context.Background(), srv.Config("alice"), "INBOX", func(ctx context.Context, mb *connection.Mailbox) error {
		_, moved, err := mb.Move(ctx, uid, "Archive")
		fmt.Println("UID", uid, "is UID", moved, "in Archive")
		return err
	})
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(len(srv.Messages("alice", "INBOX")), len(srv.Messages("alice", "Archive")))
	// Output:
	// UID 1 is UID 1 in Archive
	// 0 1
}

// Find out why a connection does not work.
func ExampleDialer_Check() {
	srv, err := connectiontest.NewServer(connectiontest.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	srv.AddUser("alice", "secret")
	cfg := srv.Config("alice")
	srv.AddUser("alice", "changed")

	d, err := connection.NewDialer(connection.DialerOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	d.Check(context.Background(), cfg, nil, func(s connection.Step) {
		fmt.Println(s.Step, s.OK)
	})
	// Output:
	// secrets true
	// proxy true
	// connect true
	// tls true
	// greeting true
	// capabilities true
	// login false
}
