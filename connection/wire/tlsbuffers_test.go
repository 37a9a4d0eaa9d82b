package wire

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"unsafe"
)

// A tls.Conn lets go of its buffers if, and only if, there is nothing in them, and goes
// on as if nothing had been done.
func TestTLSBuffers(t *testing.T) {
	if !tlsBuffers.found {
		t.Fatal("crypto/tls is built in another way: parked sessions keep their buffers; see tlsbuffers.go")
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	server := tls.Server(b, &tls.Config{Certificates: []tls.Certificate{testCert()}, DynamicRecordSizingDisabled: true})
	ended := make(chan error, 1)
	record := bytes.Repeat([]byte("x"), 16<<10)
	go func() {
		for range 3 {
			if _, err := server.Write(record); err != nil {
				ended <- err
				return
			}
		}
		_, err := io.Copy(io.Discard, server)
		ended <- err
	}()
	client := tls.Client(a, clientTLS)
	kept := func() int {
		raw := (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(client), tlsBuffers.raw))
		hand := (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(client), tlsBuffers.hands))
		return raw.Cap() + hand.Cap()
	}
	read := func(n int) {
		t.Helper()
		got := make([]byte, n)
		if _, err := io.ReadFull(client, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, record[:n]) {
			t.Fatal("other bytes came than were sent")
		}
	}
	read(len(record))
	if kept() < len(record) {
		t.Fatalf("%d bytes are kept after a large record: there is nothing to let go of", kept())
	}
	freeTLSBuffers(client)
	if kept() != 0 {
		t.Errorf("%d bytes are kept", kept())
	}
	read(1) // the rest of the record waits in the buffer
	freeTLSBuffers(client)
	if kept() < len(record) {
		t.Error("the buffer was let go of though there was something in it")
	}
	read(len(record) - 1)
	freeTLSBuffers(client)
	read(len(record))
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
