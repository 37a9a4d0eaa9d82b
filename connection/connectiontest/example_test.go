package connectiontest_test

import (
	"context"
	"fmt"

	"mailtrigger/connection"
	"mailtrigger/connection/connectiontest"
)

// A server that does what no server should: it says half a line and hangs up.
func ExampleNewScript() {
	srv, err := connectiontest.NewScript(false, func(_ int, c *connectiontest.Player) {
		c.Send("* OK hello")
		c.Command() // CAPABILITY
		_, _ = c.Write([]byte("* CAPABIL"))
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	d, err := connection.NewDialer(connection.DialerOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	for _, step := range d.Check(context.Background(), srv.Config(), nil, nil) {
		if !step.OK {
			fmt.Println(step.Step, "failed:", step.Detail)
		}
	}
	// Output: capabilities failed: the server closed the connection without a word
}
