package oracle

import (
	"os"
	"strings"
	"testing"
)

func TestTables(t *testing.T) {
	versions, err := Versions()
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatal(err)
	case err != nil:
		t.Skip(err)
	case !strings.Contains(versions, "glibc"):
		t.Skipf("the tables are those of glibc's iconv; here is %s", versions)
	}
	tables, err := Tables([]Request{
		{Program: "python", Codec: "cp1252", Range: "80-81"},
		{Program: "iconv", Codec: "EUC-TW", Prefix: "\x8E\xA2", Range: "a1-a1xa1-a1"},
		{Program: "iconv", Codec: "ISO-2022-KR", Prefix: "\x1b$)C\x0E", Range: "30-30x21-21", Suffix: "\x0F"},
		{Program: "python", Codec: "nonsense", Range: "00-ff"},
		{Program: "iconv", Codec: "nonsense", Range: "00-ff"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(tables[0]) != 1 || tables[0]["\x80"] != "€" || tables[1]["\xA1\xA1"] != "乂" || tables[2]["\x30\x21"] != "가" || tables[3] != nil || tables[4] != nil {
		t.Errorf("%v", tables)
	}
	if _, err := Tables([]Request{{Program: "python", Codec: "cp1252", Range: "nonsense"}}); err == nil || !strings.Contains(err.Error(), "oracle") {
		t.Errorf("a range that is none: %v", err)
	}
}
