package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// checkFile walks the pages of a bbolt file that can be reached from its newest
// meta page and says whether bbolt can read them without a fault.
//
// bbolt itself trusts what it maps: a page number or a length that points outside
// ends the process with a fault that cannot be caught. The walk costs one read
// of the pages in use, once a start; bbolt's own search for free pages, which
// follows, has the same order of cost.
func checkFile(r io.ReaderAt, size int64) error {
	return (&checker{r: r, size: size}).walk()
}

func (c *checker) walk() error {
	if err := c.meta(); err != nil {
		return err
	}
	c.seen = map[uint64]bool{0: true, 1: true}
	if c.freelist != noFreelist {
		if err := c.checkFreelist(); err != nil {
			return err
		}
	}
	return c.tree(c.root, 0, nil, nil)
}

// The layout of bbolt's version 2 files, in the byte order of the machine.
const (
	boltMagic   = 0xED0CDAED
	boltVersion = 2

	pageHeader  = 16 // id u64, flags u16, count u16, overflow u32
	pageElement = 16
	metaSize    = 64
	bucketSize  = 16 // root u64, sequence u64

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagFreelist = 0x10
	leafBucket   = 0x01

	noFreelist = ^uint64(0)
	maxDepth   = 48
)

var order = binary.NativeEndian

type checker struct {
	r        io.ReaderAt
	size     int64
	pageSize int64

	root, freelist, pgid uint64 // of the newest good meta page

	seen map[uint64]bool
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

// meta finds the page size and the newest good meta page as bbolt does.
func (c *checker) meta() error {
	first, ok0 := c.metaAt(0)
	if ok0 {
		c.pageSize = int64(order.Uint32(first[8:]))
	}
	var second []byte
	ok1 := false
	for ps := int64(1 << 10); ps <= 1<<24 && !ok1; ps <<= 1 {
		if ok0 && ps != c.pageSize {
			continue
		}
		if second, ok1 = c.metaAt(ps); ok1 && int64(order.Uint32(second[8:])) != ps {
			ok1 = false
		}
		if ok1 {
			c.pageSize = ps
		}
	}
	m := first
	switch {
	case !ok0 && !ok1:
		return damaged("neither of its two meta pages is whole")
	case !ok0, ok1 && order.Uint64(second[48:]) > order.Uint64(first[48:]):
		m = second
	}
	if c.pageSize < 1<<10 || c.pageSize > 1<<24 || c.pageSize&(c.pageSize-1) != 0 {
		return damaged("its page size is %d", c.pageSize)
	}
	c.root, c.freelist, c.pgid = order.Uint64(m[16:]), order.Uint64(m[32:]), order.Uint64(m[40:])
	return nil
}

// metaAt reads a meta page's fields and checks its sum.
func (c *checker) metaAt(off int64) ([]byte, bool) {
	b := make([]byte, pageHeader+metaSize)
	if _, err := c.r.ReadAt(b, off); err != nil {
		return nil, false
	}
	m := b[pageHeader:]
	h := fnv.New64a()
	h.Write(m[:metaSize-8])
	return m, order.Uint32(m) == boltMagic && order.Uint32(m[4:]) == boltVersion && order.Uint64(m[metaSize-8:]) == h.Sum64()
}

// page reads a page with its overflow, once.
func (c *checker) page(id uint64) ([]byte, error) {
	if id < 2 || id >= c.pgid || id >= uint64(c.size/c.pageSize) {
		return nil, damaged("page %d is referred to but not in the file", id)
	}
	if c.seen[id] {
		return nil, damaged("page %d is referred to twice", id)
	}
	head := make([]byte, c.pageSize)
	if _, err := c.r.ReadAt(head, int64(id)*c.pageSize); err != nil {
		return nil, readErr(id, err)
	}
	more := uint64(order.Uint32(head[12:]))
	switch {
	case order.Uint64(head) != id:
		return nil, damaged("page %d says it is page %d", id, order.Uint64(head))
	case id+more >= c.pgid || id+more >= uint64(c.size/c.pageSize):
		return nil, damaged("page %d goes on beyond the file", id)
	}
	for n := id; n <= id+more; n++ {
		if c.seen[n] {
			return nil, damaged("page %d is referred to twice", n)
		}
		c.seen[n] = true
	}
	if more == 0 {
		return head, nil
	}
	p := make([]byte, int64(more+1)*c.pageSize)
	if _, err := c.r.ReadAt(p, int64(id)*c.pageSize); err != nil {
		return nil, readErr(id, err)
	}
	return p, nil
}

func readErr(id uint64, err error) error {
	if errors.Is(err, io.EOF) {
		return damaged("page %d ends early", id)
	}
	return fmt.Errorf("page %d: %w", id, err)
}

// tree checks a page and what is below it. Its keys are from min on, and below
// max if that is not nil.
func (c *checker) tree(id uint64, depth int, min, max []byte) error {
	if depth > maxDepth {
		return damaged("it is nested too deep")
	}
	p, err := c.page(id)
	if err != nil {
		return err
	}
	return c.node(p, id, depth, min, max)
}

// element is one entry of a branch page (child) or of a leaf page (value).
type element struct {
	key, value []byte
	child      uint64
	bucket     bool
}

// elements reads a page's entries; none points outside of the page.
func elements(p []byte, id uint64) ([]element, error) {
	flags, count := order.Uint16(p[8:]), int(order.Uint16(p[10:]))
	switch {
	case flags != flagBranch && flags != flagLeaf:
		return nil, damaged("page %d is of kind %#x", id, flags)
	case pageHeader+count*pageElement > len(p):
		return nil, damaged("page %d has %d elements", id, count)
	case flags == flagBranch && count == 0:
		return nil, damaged("page %d is an empty branch", id)
	}
	list := make([]element, count)
	for i := range list {
		at := pageHeader + i*pageElement
		b, e := p[at:at+pageElement], &list[i]
		var pos, ksize, vsize uint64
		if flags == flagBranch {
			pos, ksize, e.child = uint64(order.Uint32(b)), uint64(order.Uint32(b[4:])), order.Uint64(b[8:])
		} else {
			pos, ksize, vsize = uint64(order.Uint32(b[4:])), uint64(order.Uint32(b[8:])), uint64(order.Uint32(b[12:]))
			e.bucket = order.Uint32(b)&leafBucket != 0
		}
		from := uint64(at) + pos
		if from+ksize+vsize > uint64(len(p)) {
			return nil, damaged("page %d, element %d: it points outside of its page", id, i)
		}
		e.key, e.value = p[from:from+ksize], p[from+ksize:from+ksize+vsize]
	}
	return list, nil
}

// node checks one branch or leaf page, also one inside of a bucket's value.
func (c *checker) node(p []byte, id uint64, depth int, min, max []byte) error {
	list, err := elements(p, id)
	if err != nil {
		return err
	}
	for i, e := range list {
		next := max
		if i+1 < len(list) {
			next = list[i+1].key
			if bytes.Compare(e.key, next) >= 0 {
				return damaged("page %d, element %d: its keys are out of order", id, i)
			}
		}
		if i == 0 && bytes.Compare(e.key, min) < 0 || next != nil && bytes.Compare(e.key, next) >= 0 {
			return damaged("page %d, element %d: its key belongs elsewhere", id, i)
		}
		switch {
		case order.Uint16(p[8:]) == flagBranch:
			err = c.tree(e.child, depth+1, e.key, next)
		case e.bucket:
			err = c.inner(e.value, id, depth)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// inner checks a bucket that is an element's value: a small one is inside of it.
func (c *checker) inner(v []byte, id uint64, depth int) error {
	if len(v) < bucketSize {
		return damaged("page %d: a bucket is cut", id)
	}
	if root := order.Uint64(v); root != 0 {
		return c.tree(root, depth+1, nil, nil)
	}
	p := v[bucketSize:]
	if len(p) < pageHeader || order.Uint16(p[8:]) != flagLeaf {
		return damaged("page %d: a bucket inside of it is no leaf", id)
	}
	if depth >= maxDepth {
		return damaged("it is nested too deep")
	}
	return c.node(p, id, depth+1, nil, nil)
}

// checkFreelist checks the list of free pages, which this program does not write
// but a tool may have.
func (c *checker) checkFreelist() error {
	p, err := c.page(c.freelist)
	if err != nil {
		return err
	}
	if order.Uint16(p[8:]) != flagFreelist {
		return damaged("page %d is no list of free pages", c.freelist)
	}
	at, n := uint64(pageHeader), uint64(order.Uint16(p[10:]))
	if n == 0xFFFF {
		at, n = at+8, order.Uint64(p[pageHeader:])
	}
	if n > (uint64(len(p))-at)/8 {
		return damaged("the list of free pages is cut")
	}
	for i := range n {
		if id := order.Uint64(p[at+8*i:]); id < 2 || id >= c.pgid {
			return damaged("the list of free pages has page %d", id)
		}
	}
	return nil
}
