package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection/connectiontest"
)

// The program watches twenty mailboxes that a pattern names, though the account may
// have two connections: by NOTIFY on one, or where there is none by asking in turn.
func TestManyMailboxesTwoConnections(t *testing.T) {
	for _, c := range []struct{ mode, hide string }{{"notify", ""}, {"poll", "NOTIFY"}} {
		t.Run(c.mode, func(t *testing.T) {
			srv, err := connectiontest.NewServer(connectiontest.Options{Hide: []string{c.hide}})
			if err != nil {
				t.Fatal(err)
			}
			defer srv.Close()
			srv.AddUser(serviceUser, servicePassword)
			var boxes []string
			for i := range 20 {
				boxes = append(boxes, fmt.Sprintf("cust/Kunde %02d", i))
				srv.CreateMailbox(serviceUser, boxes[i])
			}
			d := newService(t, officeConfig(srv, `metrics.listen = "unix:@DIR@/m.sock"`, `
session = {max_connections = 2, poll_interval = "1s", recheck_interval = "1h"}
[trigger.orders]
connection = "office"
mailboxes = ["cust/*"]
[[trigger.orders.action]]
type = "exec"
command = ["/bin/echo", "order:", "{{.Message.Subject}}"]
`))
			d.start()
			d.says(20, 30*time.Second, "watching from now on")
			for i, box := range boxes {
				srv.Append(serviceUser, box, fmt.Appendf(nil, "From: a@example.com\r\nSubject: number %02d\r\n\r\nhello\r\n", i), nil, time.Now())
				d.says(1, 10*time.Second, "action done", fmt.Sprintf("order: number %02d", i))
			}
			if text := scrapeService(t, d); !strings.Contains(text, fmt.Sprintf("mailtriggerd_mailboxes{mode=%q} 20\n", c.mode)) {
				t.Errorf("not all mailboxes have the mode %s", c.mode)
			}
			out, stderr, code := d.call("--status")
			if code != 0 || strings.Count(out, c.mode) < 20 {
				t.Errorf("--status ends with %d: %s%s", code, out, stderr)
			}
			t.Log(out)
			if n := srv.Connections(); n != 1 {
				t.Errorf("%d connections", n)
			}
			d.mu.Lock()
			defer d.mu.Unlock()
			done := 0
			for _, line := range d.lines {
				if strings.Contains(line, "action done") {
					done++
				}
				if strings.Contains(line, "stage=budget") {
					t.Error(line)
				}
			}
			if done != 20 {
				t.Errorf("%d actions, want 20", done)
			}
		})
	}
}
