//go:build !linux

package wire

// newLoop returns nil: this system has no epoll, links get a goroutine each.
func newLoop() (loop, error) { return nil, nil }
