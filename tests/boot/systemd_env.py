"""How systemd reads an EnvironmentFile= (parse_env_file_internal of systemd 252, state by state): the judge of what we write into one."""

BLANK, NEWLINE = " \t\n\r", "\n\r"
NEEDS_ESCAPE = '"\\`$'


def read_environment(text: str) -> dict[str, str]:
    """Return every assignment; the last one of a name counts."""
    found: dict[str, str] = {}
    state, key, value, bare = (
        "pre-key",
        "",
        "",
        0,
    )  # bare: characters of the value that trailing blanks cannot be cut from

    def push() -> None:
        found[key.rstrip(BLANK)] = value[:bare] + value[bare:].rstrip(BLANK) if state == "value" else value

    for char in text:
        if state == "pre-key":
            if char in "#;":
                state = "comment"
            elif char not in BLANK:
                state, key, value, bare = "key", char, "", 0
        elif state == "key":
            if char in NEWLINE:
                state = "pre-key"
            elif char == "=":
                state = "pre-value"
            else:
                key += char
        elif state == "pre-value":
            if char in NEWLINE:
                push()
                state = "pre-key"
            elif char in "'\"":
                state = {"'": "single", '"': "double"}[char]
            elif char == "\\":
                state = "value-escape"
            elif char not in BLANK:
                state, bare = "value", len(value)
                value += char
        elif state == "value":
            if char in NEWLINE:
                push()
                state = "pre-key"
            elif char == "\\":
                state = "value-escape"
            else:
                value += char
        elif state == "value-escape":
            state = "value"
            if char not in NEWLINE:
                value += char
                bare = len(value)
        elif state == "single":
            state, value = ("pre-value", value) if char == "'" else (state, value + char)
        elif state == "double":
            if char == '"':
                state = "pre-value"
            elif char == "\\":
                state = "double-escape"
            else:
                value += char
        elif state == "double-escape":
            state = "double"
            value += char if char in NEEDS_ESCAPE else "" if char == "\n" else "\\" + char
        elif state == "comment":
            state = "comment-escape" if char == "\\" else "pre-key" if char in NEWLINE else state
        else:
            state = "comment"
    if state not in ("pre-key", "key", "comment", "comment-escape"):
        push()
    return found
