//go:build !linux

package main

// fullDisk is one more burst where no small disk can be made.
func fullDisk() *scenario {
	return &scenario{
		name: "full-disk", triggers: aTrigger("one", "", aHook("a", ""), aHook("b", "")), options: clearText,
		expect: func(r *trial, m *mail) { r.want(m, "one", "a", "b") },
	}
}
