package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
)

func main() {
	secret := []byte(os.Getenv("HEYGEN_WEBHOOK_SECRET"))
	http.HandleFunc("/heygen", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20)) // The raw bytes.
		mac := hmac.New(sha256.New, secret)
		mac.Write(body)
		given, _ := hex.DecodeString(strings.Join(r.Header["Signature"], ","))
		switch {
		case r.Method == "OPTIONS": // HeyGen's probe.
		case err != nil || len(secret) == 0 || !hmac.Equal(given, mac.Sum(nil)):
			w.WriteHeader(401)
			return
		default:
			log.Printf("verified: %s", body) // Queue it here; an event may come twice.
		}
		w.WriteHeader(204)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
