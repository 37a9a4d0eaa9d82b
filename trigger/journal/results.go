package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
)

// results.log: a header, then records.
//
//	header  magic "MTRESLOG", version u32 = 1, epoch u64, CRC-32C of these u32
//	record  sequence u64, action u16, state u8, 0 u8, payload length u32, CRC-32C u32, payload
//
// All little-endian. A record's CRC covers its first 16 bytes and its payload: the
// paths saved, as one strings field. The log is written with one write(2) a record and never synced:
// it has to outlive the process, not the machine.
const (
	resultsMagic   = "MTRESLOG"
	resultsVersion = 1
	resultsHeader  = 8 + 4 + 8 + 4
	resultHeader   = 8 + 2 + 1 + 1 + 4 + 4

	maxPayload   = 1 << 20 // a larger record is committed at once instead
	reclaimAt    = 64 << 10
	drainAt      = 1 << 20 // from here on appends wait until the log could be reclaimed
	maxLogReplay = 64 << 20
)

var errPayload = errors.New("too many saved paths for the results log")

// loggedResult is one record.
type loggedResult struct {
	seq    uint64
	action int
	Result
}

func appendLogHeader(b []byte, epoch uint64) []byte {
	start := len(b)
	b = append(b, resultsMagic...)
	b = binary.LittleEndian.AppendUint32(b, resultsVersion)
	b = binary.LittleEndian.AppendUint64(b, epoch)
	return binary.LittleEndian.AppendUint32(b, checksum(b[start:]))
}

func appendLogRecord(b []byte, r *loggedResult) ([]byte, error) {
	var payload []byte
	if len(r.Saved) > 0 {
		e := encoder{}
		e.strings(r.Saved)
		payload = e.b
	}
	if len(payload) > maxPayload {
		return nil, errPayload
	}
	start := len(b)
	b = binary.LittleEndian.AppendUint64(b, r.seq)
	b = binary.LittleEndian.AppendUint16(b, uint16(r.action))
	b = append(b, byte(r.State), 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	sum := checksum(b[start:])
	sum = crcMore(sum, payload)
	b = binary.LittleEndian.AppendUint32(b, sum)
	return append(b, payload...), nil
}

// parseLog reads a log up to the first record that is not whole: what follows a
// torn write was never there. ok is false if the header is not one of this epoch.
func parseLog(b []byte, epoch uint64) (rs []loggedResult, used int, ok bool) {
	if len(b) < resultsHeader || string(b[:resultsHeader]) != string(appendLogHeader(nil, epoch)) {
		return nil, 0, false
	}
	used = resultsHeader
	for {
		p := b[used:]
		if len(p) < resultHeader {
			return rs, used, true
		}
		n := binary.LittleEndian.Uint32(p[12:])
		if n > maxPayload || len(p) < resultHeader+int(n) {
			return rs, used, true
		}
		payload := p[resultHeader : resultHeader+int(n)]
		if crcMore(checksum(p[:16]), payload) != binary.LittleEndian.Uint32(p[16:]) {
			return rs, used, true
		}
		r := loggedResult{seq: binary.LittleEndian.Uint64(p), action: int(binary.LittleEndian.Uint16(p[8:]))}
		r.State = ActionStatus(p[10])
		if n > 0 {
			d := &decoder{b: payload}
			if r.Saved = d.strings(); d.end() != nil {
				return rs, used, true
			}
		}
		if !r.State.final() || p[11] != 0 {
			return rs, used, true
		}
		rs = append(rs, r)
		used += resultHeader + int(n)
	}
}

// resultsLog is the open log.
type resultsLog struct {
	fs    *files
	mu    sync.Mutex
	moved sync.Cond // draining has ended
	f     *os.File  // nil: the log cannot be opened
	epoch uint64
	size  int64 // where the next record goes: behind the last that was written whole

	waiting  int  // records whose commit is not reported yet
	draining bool // the log is long: appends wait until it is reclaimed
	free     bool // commits do not succeed at the moment: nothing waits for them
	buf      []byte
}

// readResults returns the log's content, nil if there is none.
func readResults(dir string) ([]byte, error) {
	f, err := os.Open(resultsPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxLogReplay+1))
	if err == nil && len(b) > maxLogReplay {
		err = fmt.Errorf("%s is over %d MiB: this program never writes that much", f.Name(), maxLogReplay>>20)
	}
	return b, err
}

// openResults starts the log of a new epoch. It can be used after an error: then
// every append fails, and tries again.
func openResults(dir string, fs *files, epoch uint64) (*resultsLog, error) {
	l := &resultsLog{fs: fs, epoch: epoch}
	l.moved.L = &l.mu
	f, err := os.OpenFile(resultsPath(dir), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return l, err
	}
	l.f = f
	return l, l.reset()
}

// reset empties the log. What it held is committed.
func (l *resultsLog) reset() error {
	l.size = 0
	if err := l.fs.truncate(l.f, 0); err != nil {
		return err
	}
	if _, err := l.fs.writeAt(l.f, appendLogHeader(nil, l.epoch), 0); err != nil {
		return err
	}
	l.size = resultsHeader
	return nil
}

// append writes one record. After a nil error the result outlives the process. A
// write that fails half way leaves a torn record that the next append overwrites.
func (l *resultsLog) append(r *loggedResult) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.draining {
		l.moved.Wait()
	}
	if l.f == nil {
		return errors.New("the results log is not open")
	}
	if l.size == 0 { // the header could not be written
		if err := l.reset(); err != nil {
			return err
		}
	}
	b, err := appendLogRecord(l.buf[:0], r)
	if err != nil {
		return err
	}
	l.buf = b
	n, err := l.fs.writeAt(l.f, b, l.size)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return err
	}
	l.size += int64(len(b))
	l.waiting++
	l.draining = l.size > drainAt && !l.free
	return nil
}

// committed says that n records are in the database. When that is all of them,
// a log worth it is emptied; when it never is, appends are made to wait for it.
func (l *resultsLog) committed(n int, always bool) (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting -= n
	l.free = false
	if l.waiting == 0 && l.f != nil {
		if l.size > reclaimAt || always && l.size > resultsHeader {
			err = l.reset()
		}
		l.draining = false
		l.moved.Broadcast()
	}
	return err
}

// letGo says that commits do not succeed at the moment.
func (l *resultsLog) letGo() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free, l.draining = true, false
	l.moved.Broadcast()
}

func (l *resultsLog) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free, l.draining = true, false
	l.moved.Broadcast()
	if l.f == nil {
		return nil
	}
	err := l.f.Close()
	l.f = nil
	return err
}
