//go:build race

package message

import "time"

// maxTime is longer below the race detector, which takes several times the time.
const maxTime = 20 * time.Second
