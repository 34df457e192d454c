// Checks a packet, or a mirror of the log, with Go's own checksum-database code (golang.org/x/mod/sumdb: note and tlog) and nothing of ours.
//
//	check VKEY packet FOLDER   every .tlog-proof of an unzipped packet: its note, and the path from its entry to the signed root
//	check VKEY tiles FOLDER    a mirror: its note, every tile against the signed root, an inclusion proof from the tiles for every entry,
//	                           and from every size that the tree had to the present one
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func hash(line string) (found tlog.Hash) {
	raw := must(base64.StdEncoding.DecodeString(line))
	if len(raw) != len(found) {
		log.Fatalf("%q is not a SHA-256 hash", line)
	}
	copy(found[:], raw)
	return found
}

// opened is the tree of a signed checkpoint; signatures of keys that were not asked for (ML-DSA-44, witnesses) are left alone.
func opened(text []byte, vkey string) tlog.Tree {
	signed := must(note.Open(text, note.VerifierList(must(note.NewVerifier(vkey)))))
	lines := strings.Split(signed.Text, "\n")
	if lines[0] != signed.Sigs[0].Name {
		log.Fatalf("%s signed a checkpoint of %s", signed.Sigs[0].Name, lines[0])
	}
	return tlog.Tree{N: must(strconv.ParseInt(lines[1], 10, 64)), Hash: hash(lines[2])}
}

func packet(vkey, folder string) int {
	proofs := must(filepath.Glob(filepath.Join(folder, "events", "*.tlog-proof")))
	proofs = append(proofs, filepath.Join(folder, "packet.tlog-proof"))
	for _, name := range proofs {
		head, checkpoint, _ := strings.Cut(string(must(os.ReadFile(name))), "\n\n")
		lines := strings.Split(head, "\n")
		if lines[0] != "c2sp.org/tlog-proof@v1" {
			log.Fatalf("%s: %q", name, lines[0])
		}
		index := must(strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64))
		var path tlog.RecordProof
		for _, line := range lines[2:] {
			path = append(path, hash(line))
		}
		leaf := strings.TrimSuffix(name, ".tlog-proof") + ".json"
		if filepath.Base(name) == "packet.tlog-proof" {
			leaf = filepath.Join(folder, "packet.event.json")
		}
		tree := opened([]byte(checkpoint), vkey)
		if err := tlog.CheckRecord(path, tree.N, tree.Hash, index, tlog.RecordHash(must(os.ReadFile(leaf)))); err != nil {
			log.Fatalf("%s: %v", name, err)
		}
	}
	return len(proofs)
}

// mirrored reads tiles of 256 hashes as C2SP lays them out: Go's path without the height.
type mirrored string

func (folder mirrored) Height() int              { return 8 }
func (mirrored) SaveTiles([]tlog.Tile, [][]byte) {}
func (folder mirrored) ReadTiles(tiles []tlog.Tile) (found [][]byte, err error) {
	for _, tile := range tiles {
		data, err := os.ReadFile(filepath.Join(string(folder), "tile", strings.TrimPrefix(tile.Path(), "tile/8/")))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

// leaves are the entries of the mirror's bundles, each with its length in two bytes before it.
func leaves(folder string, size int64) (found []tlog.Hash) {
	for first := int64(0); first < size; first += 256 {
		tile := tlog.Tile{H: 8, L: 0, N: first / 256, W: int(min(256, size-first))}
		path := strings.Replace(tile.Path(), "tile/8/0/", "tile/entries/", 1)
		for data := must(os.ReadFile(filepath.Join(folder, path))); len(data) > 0; {
			length := 2 + int(binary.BigEndian.Uint16(data))
			found = append(found, tlog.RecordHash(data[2:length]))
			data = data[length:]
		}
	}
	return found
}

func min(a, b int64) int64 {
	if a < b {
		return a
	}
	return b
}

func tiles(vkey, folder string) int {
	tree := opened(must(os.ReadFile(filepath.Join(folder, "checkpoint"))), vkey)
	reader, entries := tlog.TileHashReader(tree, mirrored(folder)), leaves(folder, tree.N)
	if int64(len(entries)) != tree.N || must(tlog.TreeHash(tree.N, reader)) != tree.Hash {
		log.Fatalf("%d entries of %d, or another root", len(entries), tree.N)
	}
	for index, leaf := range entries {
		path := must(tlog.ProveRecord(tree.N, int64(index), reader))
		if err := tlog.CheckRecord(path, tree.N, tree.Hash, int64(index), leaf); err != nil {
			log.Fatalf("entry %d: %v", index, err)
		}
		size := int64(index) + 1
		old := must(tlog.TreeHash(size, reader))
		if err := tlog.CheckTree(must(tlog.ProveTree(tree.N, size, reader)), tree.N, tree.Hash, size, old); err != nil {
			log.Fatalf("size %d: %v", size, err)
		}
	}
	return len(entries)
}

func main() {
	check := map[string]func(string, string) int{"packet": packet, "tiles": tiles}[os.Args[2]]
	fmt.Println(check(os.Args[1], os.Args[3]))
}
