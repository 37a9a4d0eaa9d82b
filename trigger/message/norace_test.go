//go:build !race

package message

import "time"

// maxTime is the longest that a hostile message may take.
const maxTime = 2 * time.Second
