//go:build !unix

package wire

import "time"

var started = time.Now()

// cpu returns the time that has passed, where that of the processor is not told.
func cpu() time.Duration { return time.Since(started) }
