// The gen command makes the tables of the pages that golang.org/x/text lacks,
// from what codepages.csv names as their oracles: Python's codec if there is one, else iconv's.
// It is run in the directory of package codepage, by go generate.
package main

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"mailtrigger/codepage/internal/oracle"
)

func main() {
	log.SetFlags(0)
	files, err := generate("codepages.csv")
	if err != nil {
		log.Fatal("gen: ", err)
	}
	if err := os.RemoveAll("tables"); err != nil {
		log.Fatal(err)
	}
	if err := os.Mkdir("tables", 0o777); err != nil {
		log.Fatal(err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join("tables", name), data, 0o666); err != nil {
			log.Fatal(err)
		}
	}
}

// A set is a table of codes of two bytes, by the name of its file.
type set struct {
	name   string
	ask    oracle.Request
	offset byte // taken from both bytes: EUC has 94x94 sets at A1, ISO-2022 at 21
}

var sets = []set{
	{"1361", oracle.Request{Program: "python", Codec: "johab", Range: "80-ffx00-ff"}, 0},
	{"20261", oracle.Request{Program: "iconv", Codec: "T.61-8BIT", Range: "80-ffx00-ff"}, 0},
	{"20269", oracle.Request{Program: "iconv", Codec: "ISO_6937", Range: "80-ffx00-ff"}, 0},
	{"50933", oracle.Request{Program: "iconv", Codec: "IBM933", Prefix: "\x0E", Range: "40-fex40-fe", Suffix: "\x0F"}, 0},
	{"50935", oracle.Request{Program: "iconv", Codec: "IBM935", Prefix: "\x0E", Range: "40-fex40-fe", Suffix: "\x0F"}, 0},
	{"50937", oracle.Request{Program: "iconv", Codec: "IBM937", Prefix: "\x0E", Range: "40-fex40-fe", Suffix: "\x0F"}, 0},
	{"50939", oracle.Request{Program: "iconv", Codec: "IBM939", Prefix: "\x0E", Range: "40-fex40-fe", Suffix: "\x0F"}, 0},
	{"cns1", oracle.Request{Program: "iconv", Codec: "EUC-TW", Range: "a1-fexa1-fe"}, 0x80},
	{"cns2", oracle.Request{Program: "iconv", Codec: "EUC-TW", Prefix: "\x8E\xA2", Range: "a1-fexa1-fe"}, 0x80},
	{"cns3", oracle.Request{Program: "iconv", Codec: "EUC-TW", Prefix: "\x8E\xA3", Range: "a1-fexa1-fe"}, 0x80},
	{"cns4", oracle.Request{Program: "iconv", Codec: "EUC-TW", Prefix: "\x8E\xA4", Range: "a1-fexa1-fe"}, 0x80},
	{"cns5", oracle.Request{Program: "iconv", Codec: "EUC-TW", Prefix: "\x8E\xA5", Range: "a1-fexa1-fe"}, 0x80},
	{"cns6", oracle.Request{Program: "iconv", Codec: "EUC-TW", Prefix: "\x8E\xA6", Range: "a1-fexa1-fe"}, 0x80},
	{"cns7", oracle.Request{Program: "iconv", Codec: "EUC-TW", Prefix: "\x8E\xA7", Range: "a1-fexa1-fe"}, 0x80},
	{"cns15", oracle.Request{Program: "iconv", Codec: "EUC-TW", Prefix: "\x8E\xAF", Range: "a1-fexa1-fe"}, 0x80},
	{"isoir165", oracle.Request{Program: "iconv", Codec: "ISO-2022-CN-EXT", Prefix: "\x1B$)E\x0E", Range: "21-7ex21-7e", Suffix: "\x0F"}, 0},
}

// byRule are the pages that need no table of single bytes.
var byRule = []string{"50220", "50221", "50222", "50225", "50227", "50229", "51950", "65000"}

// unnumbered are the charsets of mail without a Windows number, and their oracles.
var unnumbered = [][3]string{
	{"cp1125", "python", "cp1125"},
	{"hp-roman8", "python", "hp_roman8"},
	{"koi8-t", "python", "koi8_t"},
	{"kz-1048", "python", "kz1048"},
	{"ptcp154", "python", "ptcp154"},
	{"viscii", "iconv", "VISCII"},
}

// generate returns the contents of the tables' files by name.
func generate(reference string) (map[string][]byte, error) {
	f, err := os.Open(reference)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, err
	}
	var names []string
	var ask []oracle.Request
	single := func(name, program, codec string) {
		names = append(names, name)
		ask = append(ask, oracle.Request{Program: program, Codec: codec, Range: "00-ff"})
	}
	for _, row := range rows[1:] {
		id, xtext, iconv, python := row[0], row[3], row[4], row[5]
		switch {
		case !strings.HasPrefix(xtext, "MISSING") || slices.Contains(byRule, id) || id == "708":
		case python != "":
			single(id, "python", python)
		case iconv != "":
			single(id, "iconv", iconv)
		}
	}
	for _, u := range unnumbered {
		single(u[0], u[1], u[2])
	}
	for _, s := range sets {
		ask = append(ask, s.ask)
	}
	tables, err := oracle.Tables(ask)
	if err != nil {
		return nil, err
	}
	var singles []byte
	files := map[string][]byte{}
	for i, table := range tables {
		if table == nil {
			return nil, fmt.Errorf("%s has no codec %s", ask[i].Program, ask[i].Codec)
		}
		if i < len(names) {
			if singles, err = packSingle(singles, names[i], table); err != nil {
				return nil, err
			}
			continue
		}
		s := sets[i-len(names)]
		if files[s.name+".z"], err = packSet(table, s.offset); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	files["single.z"] = compress(singles)
	return files, nil
}

// packSingle appends a table of single bytes: its name after the name's length,
// and 256 runes of 16 bits, U+FFFD for none.
func packSingle(data []byte, name string, table oracle.Table) ([]byte, error) {
	data = append(append(data, byte(len(name))), name...)
	for b := range 256 {
		r := utf8.RuneError
		if s, ok := table[string([]byte{byte(b)})]; ok {
			var n int
			if r, n = utf8.DecodeRuneInString(s); n != len(s) || r > 0xFFFF {
				return nil, fmt.Errorf("%s: %02X is %q", name, b, s)
			}
		}
		data = binary.LittleEndian.AppendUint16(data, uint16(r))
	}
	return data, nil
}

// packSet writes a table of double bytes: the first and last value of the first byte, the
// same of the second, and the runes in order: their highest bytes, the middle ones, the lowest.
// 0 is none.
func packSet(table oracle.Table, offset byte) ([]byte, error) {
	lo, hi := [2]byte{0xFF, 0xFF}, [2]byte{}
	for code := range table {
		for i := range 2 {
			lo[i], hi[i] = min(lo[i], code[i]), max(hi[i], code[i])
		}
	}
	var planes [3][]byte
	for a := int(lo[0]); a <= int(hi[0]); a++ {
		for b := int(lo[1]); b <= int(hi[1]); b++ {
			r := rune(0)
			if s, ok := table[string([]byte{byte(a), byte(b)})]; ok {
				var n int
				if r, n = utf8.DecodeRuneInString(s); n != len(s) {
					return nil, fmt.Errorf("%02X%02X is %q", a, b, s)
				}
			}
			for i, shift := range []int{16, 8, 0} {
				planes[i] = append(planes[i], byte(r>>shift))
			}
		}
	}
	header := []byte{lo[0] - offset, hi[0] - offset, lo[1] - offset, hi[1] - offset}
	return compress(slices.Concat(header, planes[0], planes[1], planes[2])), nil
}

func compress(data []byte) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // neither the level nor the buffer can fail
	}
	return b.Bytes()
}
