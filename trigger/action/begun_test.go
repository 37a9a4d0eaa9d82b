package action

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// A command and a request say that they have begun while they are under way: neither
// ends here before it has said so.
func TestBegun(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	t.Run("exec", func(t *testing.T) {
		r, path := newRun(t), filepath.Join(t.TempDir(), "begun")
		r.Begun = func() {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Error(err)
			}
		}
		wantDone(t, sh(t, `while [ ! -e "$1" ]; do sleep 0.02; done`, path).Run(ctx, r))
	})
	t.Run("webhook", func(t *testing.T) {
		r, begun := newRun(t), make(chan struct{})
		r.Begun = sync.OnceFunc(func() { close(begun) })
		s := server(t, func(_ http.ResponseWriter, q *http.Request) {
			select {
			case <-begun:
			case <-q.Context().Done():
			}
		})
		wantDone(t, hook(t, &Webhook{URL: s.URL}).Run(ctx, r))
	})
}
