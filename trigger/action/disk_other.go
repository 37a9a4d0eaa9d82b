//go:build !linux

package action

import (
	"errors"
	"os"
)

func canSyncWhole(*os.File) bool { return false }

func syncWhole(*os.File) error { return errors.ErrUnsupported }

func identityOf(os.FileInfo) identity { return identity{} }
