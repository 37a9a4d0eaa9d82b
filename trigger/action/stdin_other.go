//go:build !linux

package action

import (
	"errors"
	"os"
)

const memoryStdin = 0

func memoryFile([]byte) (*os.File, error) { return nil, errors.ErrUnsupported }
