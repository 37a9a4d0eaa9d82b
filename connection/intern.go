package connection

import (
	"runtime"
	"sync"
	"weak"
)

// An intern lets those who need alike values share one, for as long as anybody has it.
// Ten thousand sessions keep what they were dialed with: one ca_file's certificates
// alone would be 40 MiB of them, parsed ten thousand times.
type intern[K comparable, V any] struct {
	mu sync.Mutex
	by map[K]weak.Pointer[V]
}

// get returns the value in use for the key, or else a new one, which make makes. What
// is shared must not be changed.
func (t *intern[K, V]) get(key K, make func() (*V, error)) (*V, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v := t.by[key].Value(); v != nil {
		return v, nil
	}
	v, err := make()
	if err != nil {
		return nil, err
	}
	if t.by == nil {
		t.by = map[K]weak.Pointer[V]{}
	}
	t.by[key] = weak.Make(v)
	runtime.AddCleanup(v, t.forget, key)
	return v, nil
}

// forget drops a value that nobody has any more, unless there is a new one.
func (t *intern[K, V]) forget(key K) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by[key].Value() == nil {
		delete(t.by, key)
	}
}
