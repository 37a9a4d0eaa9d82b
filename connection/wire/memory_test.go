package wire

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"mailtrigger/connection/connectiontest/rigtest"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// BenchmarkParked measures the memory of parked sessions over TLS, logged in and
// parked ("once"), or put on a client again for a FETCH of 2 kB and off it ("again").
// Run it alone:
//
//	go test -run '^$' -bench Parked -benchtime 1x
//
// The server is a process of its own, so that its memory does not count.
func BenchmarkParked(b *testing.B) {
	const n = 2000
	server := exec.Command(os.Args[0], "-test.run", "^$")
	server.Env = append(os.Environ(), "WIRE_TEST_SERVER=1")
	out, err := server.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		server.Process.Kill()
		server.Wait()
	}()
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	addr = strings.TrimSpace(addr)
	for _, kind := range []string{"epoll/once", "epoll/again", "goroutine/once", "goroutine/again"} {
		b.Run(kind, func(b *testing.B) {
			for b.Loop() {
				loop, how, _ := strings.Cut(kind, "/")
				k, err := NewParker(&ParkerOptions{Goroutines: loop == "goroutine"})
				if err != nil {
					b.Fatal(err)
				}
				debug.FreeOSMemory()
				before, heap := resident(), heapNow()
				links := make([]*Link, n)
				var idling, ended sync.WaitGroup
				idling.Add(n)
				ended.Add(n)
				slots := make(chan struct{}, 32)
				for i := range n {
					slots <- struct{}{}
					go func() {
						defer func() { <-slots }()
						links[i] = parkOne(b, k, addr, how == "again", idling.Done, ended.Done)
					}()
				}
				idling.Wait()
				asIs := resident() - before
				debug.FreeOSMemory()
				after := resident() - before
				b.ReportMetric(float64(asIs)/n, "RSS-B/session")
				b.ReportMetric(float64(after)/n, "RSS-after-GC-B/session")
				b.ReportMetric(float64(heapNow()-heap)/n, "heap-B/session")
				b.ReportMetric(float64(runtime.NumGoroutine())/n, "goroutines/session")
				for _, l := range links {
					l.Close()
				}
				ended.Wait()
				k.Close()
			}
		})
	}
}

// parkOne logs in, fetches if it is put on again, and parks.
func parkOne(b *testing.B, k *Parker, addr string, again bool, idling, ended func()) *Link {
	tcp, err := net.Dial("tcp", addr)
	if err != nil {
		b.Error(err)
		return nil
	}
	l := NewLink(tls.Client(Raw(tcp), clientTLS), benchOptions)
	cl := imapclient.New(l.Lend(""), nil)
	if err := cl.Login("a", "b").Wait(); err != nil {
		b.Error(err)
	}
	if _, err := cl.Select("INBOX", nil).Wait(); err != nil {
		b.Error(err)
	}
	if err := l.Reclaim(cl.Close); err != nil {
		b.Error(err)
	}
	if again {
		cl = imapclient.New(l.Lend(testBack), nil)
		if msgs, err := cl.Fetch(imap.UIDSetNum(1), &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{{Peek: true}}}).Collect(); err != nil || len(msgs) != 1 {
			b.Error(err, len(msgs), l.Err())
		}
		if err := l.Reclaim(cl.Close); err != nil {
			b.Error(err)
		}
	}
	once := sync.OnceFunc(idling)
	o := ParkOptions{Idle: true, Select: "INBOX", Known: Known{1, 5, 4}, OnProof: func(time.Time, time.Duration) { once() }}
	k.Park(l, o, func(Wake) { ended() })
	return l
}

var benchOptions = &LinkOptions{OnStatus: func(Status) {}}

func heapNow() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// resident returns the process's resident memory in bytes.
func resident() int64 {
	b, _ := os.ReadFile("/proc/self/status")
	for l := range strings.Lines(string(b)) {
		var kb int64
		if _, err := fmt.Sscanf(l, "VmRSS: %d kB", &kb); err == nil {
			return kb << 10
		}
	}
	return 0
}

// TestMain is a server for BenchmarkParked, if asked to.
func TestMain(m *testing.M) {
	if os.Getenv("WIRE_TEST_SERVER") == "" {
		os.Exit(rigtest.Main(m))
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{testCert()}})
	if err != nil {
		panic(err)
	}
	fmt.Println(ln.Addr())
	for {
		c, err := ln.Accept()
		if err != nil {
			panic(err)
		}
		go benchServe(c)
	}
}

func benchServe(c net.Conn) {
	defer c.Close()
	r := bufio.NewReaderSize(c, 256)
	io.WriteString(c, testCaps)
	idle := ""
	for {
		l, err := r.ReadString('\n')
		if err != nil {
			return
		}
		f := strings.Fields(l)
		switch {
		case f[0] == "DONE":
			fmt.Fprintf(c, "%s OK done\r\n", idle)
		case f[1] == "IDLE":
			idle = f[0]
			io.WriteString(c, "+ idling\r\n")
		case f[1] == "SELECT":
			fmt.Fprintf(c, "* 4 EXISTS\r\n* OK [UIDVALIDITY 1] .\r\n* OK [UIDNEXT 5] .\r\n%s OK [READ-WRITE] done\r\n", f[0])
		case f[1] == "UID":
			fmt.Fprintf(c, "* 1 FETCH (UID 1 BODY[] {2000}\r\n%s)\r\n%s OK done\r\n", strings.Repeat("x", 2000), f[0])
		default:
			fmt.Fprintf(c, "%s OK [CAPABILITY IMAP4rev1 IDLE] done\r\n", f[0])
		}
	}
}
