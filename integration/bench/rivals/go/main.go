// Go's clients, measured as ours is: gorilla/websocket, and Pulsar's own by the binary protocol.
//
//	rivals gorilla-produce|gorilla-consume|native-produce|native-consume PORT PATH-OR-TOPIC COUNT SIZE OUTSTANDING [SUBSCRIPTION]
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"
	plog "github.com/apache/pulsar-client-go/pulsar/log"
	"github.com/gorilla/websocket"
	"github.com/sirupsen/logrus"
)

func used() float64 {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return float64(r.Utime.Sec+r.Stime.Sec) + float64(r.Utime.Usec+r.Stime.Usec)/1e6
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

type frame struct {
	Result    string `json:"result,omitempty"`
	Payload   string `json:"payload,omitempty"`
	MessageID string `json:"messageId,omitempty"`
	Context   string `json:"context,omitempty"`
}

func main() {
	mode, port, path := os.Args[1], os.Args[2], os.Args[3]
	count, _ := strconv.Atoi(os.Args[4])
	size, _ := strconv.Atoi(os.Args[5])
	outstanding, _ := strconv.Atoi(os.Args[6])
	payload := make([]byte, size)
	for i := range payload {
		payload[i] = 'x'
	}
	var began time.Time
	var before float64
	begin := func() { began, before = time.Now(), used() }

	switch mode {
	case "gorilla-produce", "gorilla-consume":
		socket, _, err := websocket.DefaultDialer.Dial("ws://127.0.0.1:"+port+path, nil)
		must(err)
		begin()
		room := make(chan struct{}, outstanding)
		if mode == "gorilla-produce" {
			go func() {
				for i := 0; i < count; i++ {
					room <- struct{}{}
					text, err := json.Marshal(frame{Payload: base64.StdEncoding.EncodeToString(payload), Context: strconv.Itoa(i)})
					must(err)
					must(socket.WriteMessage(websocket.TextMessage, text))
				}
			}()
		}
		for i := 0; i < count; i++ {
			_, text, err := socket.ReadMessage()
			must(err)
			var f frame
			must(json.Unmarshal(text, &f))
			if mode == "gorilla-produce" {
				if f.Result != "ok" {
					log.Fatalf("a message was refused: %s", text)
				}
				<-room
				continue
			}
			_, err = base64.StdEncoding.DecodeString(f.Payload)
			must(err)
			text, err = json.Marshal(frame{MessageID: f.MessageID})
			must(err)
			must(socket.WriteMessage(websocket.TextMessage, text))
		}
	case "native-produce", "native-consume":
		quiet := logrus.New()
		quiet.SetLevel(logrus.ErrorLevel)
		client, err := pulsar.NewClient(pulsar.ClientOptions{URL: "pulsar://127.0.0.1:" + port, Logger: plog.NewLoggerWithLogrus(quiet)})
		must(err)
		if mode == "native-produce" {
			producer, err := client.CreateProducer(pulsar.ProducerOptions{Topic: path, MaxPendingMessages: outstanding})
			must(err)
			begin()
			var left atomic.Int64
			left.Store(int64(count))
			done := make(chan struct{})
			for i := 0; i < count; i++ {
				producer.SendAsync(context.Background(), &pulsar.ProducerMessage{Payload: payload}, func(_ pulsar.MessageID, _ *pulsar.ProducerMessage, err error) {
					must(err)
					if left.Add(-1) == 0 {
						close(done)
					}
				})
			}
			must(producer.FlushWithCtx(context.Background()))
			<-done
		} else {
			consumer, err := client.Subscribe(pulsar.ConsumerOptions{Topic: path, SubscriptionName: os.Args[7], SubscriptionInitialPosition: pulsar.SubscriptionPositionEarliest})
			must(err)
			begin()
			for i := 0; i < count; i++ {
				m, err := consumer.Receive(context.Background())
				must(err)
				must(consumer.Ack(m))
			}
		}
	default:
		log.Fatal("unknown mode ", mode)
	}
	seconds := time.Since(began).Seconds()
	fmt.Printf("{\"messages\":%d,\"seconds\":%f,\"rate\":%f,\"processorMicros\":%f,\"medianMicros\":0}\n", count, seconds, float64(count)/seconds, (used()-before)*1e6/float64(count))
}
