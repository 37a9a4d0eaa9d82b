package proxy

import (
	"os"
	"testing"

	"mailtrigger/connection/connectiontest/rigtest"
)

func TestMain(m *testing.M) { os.Exit(rigtest.Main(m)) }
