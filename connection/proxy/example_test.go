package proxy_test

import (
	"context"
	"fmt"
	"net"

	"mailtrigger/connection/proxy"
)

// A proxy is a dialer, which another package may use as well.
func ExampleConfig_Dialer() {
	l, err := net.Listen("tcp", "127.0.0.1:0") // nothing that speaks SOCKS
	if err != nil {
		fmt.Println(err)
		return
	}
	go func() {
		conn, err := l.Accept()
		if err == nil {
			_, _ = conn.Write([]byte("* OK IMAP4rev1 ready\r\n"))
			_, _ = conn.Read(make([]byte, 100))
			conn.Close()
		}
	}()
	defer l.Close()

	cfg := &proxy.Config{Type: "socks5", Address: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}
	cfg.SetDefaults()
	if problems := cfg.Validate(); len(problems) > 0 {
		fmt.Println(problems)
		return
	}
	d, err := cfg.Dialer(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = d.DialContext(context.Background(), "tcp", "imap.example.com:993")
	if e, ok := err.(*proxy.Error); ok {
		fmt.Println(e.Stage+":", e.Hint)
	}
	// Output: handshake: the proxy's address and port are those of a mail server
}
