// Command check reads a log that the gateway published, with the Go project's own packages for signed notes and transparency logs.
//
//	check log FOLDER VKEY        verify checkpoint, tiles, entries and every proof; print the proofs that were made as JSON
//	check proofs < JSON          verify proofs that the gateway made
//	check note NAME < TEXT       sign a text under a new key; print verifier key and note as JSON
//
// It shares no line with the gateway. Package tlog is of the Go checksum database, whose trees are those of RFC 6962.
package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A claim is one proof: of a record's place (Old < 0), or that the tree of Old records is the beginning of that of Size.
type claim struct {
	Index   int64    `json:"index"`
	Old     int64    `json:"old"`
	OldRoot string   `json:"old_root"`
	Size    int64    `json:"size"`
	Root    string   `json:"root"`
	Leaf    string   `json:"leaf"`
	Path    []string `json:"path"`
}

// Published tiles have the paths of C2SP tlog-tiles: those of tlog without the height, and entries in place of data.
type published struct{ folder string }

func (p published) Height() int { return 8 }

func (p published) SaveTiles([]tlog.Tile, [][]byte) {}

func (p published) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var data [][]byte
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		read, err := os.ReadFile(filepath.Join(p.folder, path))
		if err != nil {
			return nil, err
		}
		data = append(data, read)
	}
	return data, nil
}

// leaves reads the entry bundles: each entry behind its length as a big-endian uint16.
func (p published) leaves(size int64) ([][]byte, error) {
	var all [][]byte
	for n := int64(0); n*256 < size; n++ {
		width := size - n*256
		if width > 256 {
			width = 256
		}
		tile := tlog.Tile{H: 8, L: -1, N: n, W: int(width)}
		path := strings.Replace(tile.Path(), "tile/8/data/", "tile/entries/", 1)
		data, err := os.ReadFile(filepath.Join(p.folder, path))
		if err != nil {
			return nil, err
		}
		for len(data) > 0 {
			length := int(binary.BigEndian.Uint16(data)) + 2
			all = append(all, data[2:length])
			data = data[length:]
		}
	}
	if int64(len(all)) != size {
		return nil, fmt.Errorf("%d entries, expected %d", len(all), size)
	}
	return all, nil
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 3 && args[0] == "log":
		return checkLog(args[1], args[2])
	case len(args) == 1 && args[0] == "proofs":
		return checkProofs()
	case len(args) == 2 && args[0] == "note":
		return signNote(args[1])
	}
	return fmt.Errorf("usage: check log FOLDER VKEY | proofs | note NAME")
}

func checkLog(folder, vkey string) error {
	tree, err := openCheckpoint(folder, vkey)
	if err != nil {
		return err
	}
	files := published{folder}
	hashes := tlog.TileHashReader(tree, files) // which authenticates every tile against the root
	leaves, err := files.leaves(tree.N)
	if err != nil {
		return err
	}
	var made []claim
	for index, leaf := range leaves {
		hash := tlog.RecordHash(leaf)
		proof, err := tlog.ProveRecord(tree.N, int64(index), hashes)
		if err != nil {
			return fmt.Errorf("record %d: %w", index, err)
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, int64(index), hash); err != nil {
			return fmt.Errorf("record %d: %w", index, err)
		}
		made = append(made, claim{
			Index: int64(index), Old: -1, Size: tree.N, Root: text(tree.Hash), Leaf: text(hash), Path: texts(proof),
		})
	}
	for old := int64(1); old <= tree.N; old++ {
		root, err := tlog.TreeHash(old, hashes)
		if err != nil {
			return fmt.Errorf("tree %d: %w", old, err)
		}
		proof, err := tlog.ProveTree(tree.N, old, hashes)
		if err != nil {
			return fmt.Errorf("tree %d: %w", old, err)
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, old, root); err != nil {
			return fmt.Errorf("tree %d: %w", old, err)
		}
		made = append(made, claim{
			Old: old, OldRoot: text(root), Size: tree.N, Root: text(tree.Hash), Path: texts(proof),
		})
	}
	return json.NewEncoder(os.Stdout).Encode(made)
}

func openCheckpoint(folder, vkey string) (tlog.Tree, error) {
	data, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	if err != nil {
		return tlog.Tree{}, err
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(data, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("no checkpoint of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return tlog.Tree{}, fmt.Errorf("no root in the checkpoint")
	}
	tree := tlog.Tree{N: size}
	copy(tree.Hash[:], root)
	return tree, nil
}

func checkProofs() error {
	var claims []claim
	if err := json.NewDecoder(os.Stdin).Decode(&claims); err != nil {
		return err
	}
	for number, one := range claims {
		root, err := hash(one.Root)
		if err != nil {
			return err
		}
		var path []tlog.Hash
		for _, each := range one.Path {
			node, err := hash(each)
			if err != nil {
				return err
			}
			path = append(path, node)
		}
		if one.Old < 0 {
			leaf, err := hash(one.Leaf)
			if err != nil {
				return err
			}
			err = tlog.CheckRecord(path, one.Size, root, one.Index, leaf)
			if err != nil {
				return fmt.Errorf("claim %d: record %d of %d: %w", number, one.Index, one.Size, err)
			}
			continue
		}
		oldRoot, err := hash(one.OldRoot)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(path, one.Size, root, one.Old, oldRoot); err != nil {
			return fmt.Errorf("claim %d: tree %d of %d: %w", number, one.Old, one.Size, err)
		}
	}
	fmt.Println(len(claims))
	return nil
}

func signNote(name string) error {
	body, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	skey, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		return err
	}
	signed, err := note.Sign(&note.Note{Text: string(body)}, signer)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]string{"vkey": vkey, "note": string(signed)})
}

func hash(digits string) (tlog.Hash, error) {
	var found tlog.Hash
	data, err := hex.DecodeString(digits)
	if err != nil || len(data) != tlog.HashSize {
		return found, fmt.Errorf("%q is no hash", digits)
	}
	copy(found[:], data)
	return found, nil
}

func text(one tlog.Hash) string { return hex.EncodeToString(one[:]) }

func texts(path []tlog.Hash) []string {
	all := []string{}
	for _, one := range path {
		all = append(all, text(one))
	}
	return all
}
