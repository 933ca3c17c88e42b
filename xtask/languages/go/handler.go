// A handler by the types of quicktype.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"handler/events"
)

func link(body []byte) (*string, error) {
	var name struct {
		EventType string `json:"event_type"`
	}
	if err := json.Unmarshal(body, &name); err != nil {
		return nil, err
	}
	switch name.EventType {
	case "avatar_video.success":
		var event events.AvatarVideoSuccessEvent
		err := json.Unmarshal(body, &event)
		fmt.Println(event.EventData.VideoID)
		return event.EventData.URL, err
	case "video_translate.fail":
		var event events.VideoTranslateFailEvent
		err := json.Unmarshal(body, &event)
		return event.EventData.Message, err
	default:
		return nil, nil
	}
}

func main() {
	body, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	fmt.Println(link(body))
}
