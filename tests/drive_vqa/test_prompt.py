from drive_vqa.prompt import build_messages, frame_content

GROUP = {"context": [{"offset_s": -1.5}, {"offset_s": 0.0}]}


def test_frames_come_first_each_after_its_time():
    content = frame_content(GROUP)
    assert [part["type"] for part in content] == ["text", "image", "text", "image"]
    assert content[0]["text"] == "1.5 seconds ago:"
    assert content[2]["text"] == "Now:"


def test_questions_of_a_group_share_their_prefix():
    first = build_messages(GROUP, {"question": "How far?", "options": []})
    second = build_messages(GROUP, {"question": "Which?", "options": ["left", "right"]}, answer="A")
    assert first[0]["content"][:4] == second[0]["content"][:4] == frame_content(GROUP)
    assert second[0]["content"][4]["text"] == "Which?\nA. left\nB. right"
    assert [message["role"] for message in second] == ["user", "assistant"]
    assert len(first) == 1
