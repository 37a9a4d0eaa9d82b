//go:build !linux

package action

import (
	"errors"
	"os"
	"time"
)

func unnamed(*directory) *os.File { return nil }

func linkUnnamed(*os.File, *directory, string) error { return errors.ErrUnsupported }

func setTime(*os.File, time.Time) error { return errors.ErrUnsupported }
