package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const waitMax = 60 * time.Second

// API is where requests go.
type API struct{ url string }

func newAPI(url string) *API { return &API{url} }

// call sends a request and decodes the answer into `into`, if there is one.
func (api *API) call(method, path string, body any, status int, into any) error {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, api.url+path, content)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != status {
		return fmt.Errorf("%s %s is answered with %d: %.200s", method, path, answer.StatusCode, text)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (api *API) get(path string, into any) error { return api.call("GET", path, nil, 200, into) }

// has fails unless each document of a list, or the one document, has all these fields.
func (api *API) has(path string, fields ...string) error {
	var any any
	if err := api.get(path, &any); err != nil {
		return err
	}
	documents, isList := any.([]interface{})
	if !isList {
		documents = []interface{}{any}
	}
	if len(documents) == 0 {
		return fmt.Errorf("%s is empty", path)
	}
	for _, document := range documents {
		object, isObject := document.(map[string]interface{})
		for _, field := range fields {
			if value, has := object[field]; !isObject || !has || value == nil {
				return fmt.Errorf("%s has no %s", path, field)
			}
		}
	}
	return nil
}

// unique gives a name that nobody else uses.
func unique(label string) string {
	random := make([]byte, 4)
	if _, err := rand.Read(random); err != nil {
		panic(err)
	}
	return "interop." + label + "." + hex.EncodeToString(random)
}

// waitUntil tries until it works; RabbitMQ takes seconds to know its own statistics.
func waitUntil(try func() error) error {
	deadline := time.Now().Add(waitMax)
	for {
		err := try()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// queue is a queue with messages, some of which a consumer holds, on a connection of its own.
type queue struct {
	name       string
	connection *amqp.Connection
	channel    *amqp.Channel
}

func newQueue(label string, ready, unacked int) (*queue, error) {
	connection, err := amqp.Dial(os.Getenv("AMQP_URL"))
	if err != nil {
		return nil, err
	}
	channel, err := connection.Channel()
	if err != nil {
		return nil, err
	}
	made := &queue{unique(label), connection, channel}
	if _, err := channel.QueueDeclare(made.name, true, false, false, false, nil); err != nil {
		return nil, err
	}
	if err := channel.Confirm(false); err != nil {
		return nil, err
	}
	for sent := 0; sent < ready+unacked; sent++ {
		message := amqp.Publishing{Body: []byte("x"), Timestamp: time.Now(), DeliveryMode: amqp.Persistent}
		confirm, err := channel.PublishWithDeferredConfirm("", made.name, false, false, message)
		if err != nil {
			return nil, err
		}
		confirm.Wait()
	}
	if unacked == 0 {
		return made, nil
	}
	if err := channel.Qos(unacked, 0, false); err != nil {
		return nil, err
	}
	_, err = channel.Consume(made.name, "", false, false, false, false, nil)
	return made, err
}

func (queue *queue) close() {
	queue.channel.QueueDelete(queue.name, false, false, false)
	queue.connection.Close()
}
