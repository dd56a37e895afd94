package authenticator

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/png"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// quiet is the margin around a QR code, in modules (ISO/IEC 18004 §5.3.8).
const quiet = 4

// A qrCode is the modules of a QR code.
type qrCode struct {
	size int // modules on a side
	dark func(x, y int) bool
}

// qr draws the URI with error correction M: 15 % of the code may be unreadable.
func (e *Enrolment) qr() (qrCode, error) {
	if e.URI == "" {
		return qrCode{}, errors.New("authenticator: the enrolment has no URI: its Request had no Account")
	}
	c, err := qr.Encode(e.URI, qr.M, qr.Auto)
	if err != nil {
		return qrCode{}, errors.New("authenticator: the URI is too long for a QR code")
	}
	return qrCode{c.Bounds().Dx(), func(x, y int) bool {
		r, _, _, _ := c.At(x, y).RGBA()
		return r == 0
	}}, nil
}

// PNG draws the QR code, black on white with the margin of four modules that readers
// need, also on a dark page. It is size pixels wide or a little more, because each
// module has whole pixels. For example, 240 is a good size. The page should give the
// image an alternative text, and show Secret below it, for people who cannot scan.
func (e *Enrolment) PNG(size int) ([]byte, error) {
	if size < 0 || size > 4096 {
		return nil, fmt.Errorf("authenticator: a size of %d is not within 0..4096 pixels", size)
	}
	c, err := e.qr()
	if err != nil {
		return nil, err
	}
	side := c.size + 2*quiet
	scale := max(1, (size+side-1)/side)
	img := image.NewPaletted(image.Rect(0, 0, side*scale, side*scale), color.Palette{color.White, color.Black})
	for y := range img.Rect.Dy() {
		row := img.Pix[y*img.Stride:][:img.Rect.Dx()]
		for x := range row {
			mx, my := x/scale-quiet, y/scale-quiet
			if mx >= 0 && my >= 0 && mx < c.size && my < c.size && c.dark(mx, my) {
				row[x] = 1
			}
		}
	}
	var b bytes.Buffer
	err = png.Encode(&b, img)
	return b.Bytes(), err
}

// SVG draws the QR code as PNG does, as an element for a page, which sets its size. It
// has no style and no script, so it needs no exception in a Content-Security-Policy.
// Title is the text for screen readers, in the page's language, for example "QR code for
// your authenticator app". If title is empty, screen readers skip the element.
func (e *Enrolment) SVG(title string) (string, error) {
	c, err := e.qr()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	side := c.size + 2*quiet
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges"`, side,
		side)
	if title == "" {
		b.WriteString(` aria-hidden="true">`)
	} else {
		text := html.EscapeString(title)
		fmt.Fprintf(&b, ` role="img" aria-label="%s"><title>%s</title>`, text, text)
	}
	fmt.Fprintf(&b, `<path fill="#fff" d="M0 0h%dv%dH0z"/><path fill="#000" d="`, side, side)
	for y := range c.size {
		for x := 0; x < c.size; x++ {
			run := 0
			for x+run < c.size && c.dark(x+run, y) {
				run++
			}
			if run > 0 {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, run, run)
				x += run
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return b.String(), nil
}
