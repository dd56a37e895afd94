package pskc

import (
	"bytes"
	"crypto/aes"
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestUnwrap: the vectors of RFC 3394 §4, for each size of key.
func TestUnwrap(t *testing.T) {
	t.Parallel()
	const all = "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F"
	const data = "00112233445566778899AABBCCDDEEFF0001020304050607" + "08090A0B0C0D0E0F"
	for _, v := range []struct {
		key, data int // octets
		wrapped   string
	}{
		{16, 16, "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5"},
		{24, 16, "96778B25AE6CA435F92B5B97C050AED2468AB8A17AD84E5D"},
		{32, 16, "64E8C3F9CE0F5BA263E9777905818A2A93C8191E7D6E8AE7"},
		{24, 24, "031D33264E15D33268F24EC260743EDCE1C6C7DDEE725A936BA814915C6762D2"},
		{32, 24, "A8F9BC1612C68B3FF6E6F4FBE30E71E4769C8B80A32CB8958CD5D17D6B254DA1"},
		{32, 32, "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21"},
	} {
		key, wrapped := unhex(t, all)[:v.key], unhex(t, v.wrapped)
		got, err := unwrap(key, wrapped)
		if err != nil || !bytes.Equal(got, unhex(t, data)[:v.data]) {
			t.Errorf("%d, %d: %x, %v", v.key, v.data, got, err)
		}
		for i := range wrapped {
			wrapped[i] ^= 1
			if got, err := unwrap(key, wrapped); err == nil {
				t.Errorf("octet %d changed: unwraps to %x", i, got)
			}
			wrapped[i] ^= 1
		}
	}
	for _, n := range []int{0, 8, 16, 23, 25} {
		if _, err := unwrap(make([]byte, 16), make([]byte, n)); err == nil {
			t.Errorf("%d octets unwrap", n)
		}
	}
}

// TestOpenCBC: the last octet says how many are padding.
func TestOpenCBC(t *testing.T) {
	t.Parallel()
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		t.Fatal(err)
	}
	for _, padding := range []int{0, 1, 5, 16, 17, 255} {
		sealed := make([]byte, 32) // an IV of zeros, and one block
		plain := append([]byte(strings.Repeat("s", 15)), byte(padding))
		block.Encrypt(sealed[16:], plain)
		got, err := openCBC(block, sealed)
		if right := padding >= 1 && padding <= 16; right != (err == nil) || right && len(got) != 16-padding {
			t.Errorf("padding %d: %q, %v", padding, got, err)
		}
	}
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := openCBC(block, make([]byte, n)); err == nil {
			t.Errorf("%d octets open", n)
		}
	}
}
