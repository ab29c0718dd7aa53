import pytest

from agent.core.document import DocumentError, read_json


def refusal(body) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        read_json(body)
    return caught.value


def test_an_error_says_where_and_what_was_expected_and_found():
    place = read_json('{"compute":{"platformFaultDomain":"x"}}').at("compute").at("platformFaultDomain")
    with pytest.raises(DocumentError) as caught:
        place.number()
    assert str(caught.value) == "$.compute.platformFaultDomain: expected a number, found 'x'"
    assert (caught.value.path, caught.value.expected, caught.value.found) == (
        "$.compute.platformFaultDomain",
        "a number",
        "'x'",
    )


def test_a_long_found_value_is_cut_to_sixty_characters():
    with pytest.raises(DocumentError) as caught:
        read_json('{"a":"' + 900 * "x" + '"}').at("a").number()
    assert len(caught.value.found) == 60


@pytest.mark.parametrize(
    ("value", "shown"),
    [('"hunter2"', "a text"), ("42", "a number or boolean"), ("[]", "an array"), ("{}", "an object")],
)
def test_of_a_secret_only_the_type_is_named(value, shown):
    secret = read_json(f'{{"userData":[[{value}]]}}').at("userData", secret=True).each()[0].each()[0]
    assert secret.wrong("something else").found == shown
    assert "hunter2" not in repr(secret)


def test_nothing_stands_where_a_key_is_absent_or_null_or_empty():
    root = read_json('{"null":null,"empty":""}')
    for place in (root.at("absent"), root.at("null"), root.at("empty")):
        assert (place.text(), place.number(), place.flag(), place.each(), place.at("x").text()) == (
            None, None, None, (), None,
        )  # fmt: skip
    assert root.at("absent").at("deeper").wrong("a text").found == "nothing"


def test_numbers_and_booleans_may_be_written_as_text():
    root = read_json('{"a":"36","b":-1,"c":"True","d":false}')
    assert (root.at("a").number(), root.at("b").number(), root.at("c").flag(), root.at("d").flag()) == (
        36, -1, True, False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "reader", "expected"),
    [
        ("true", "number", "a number"),
        ("1.5", "number", "a number"),
        ('"٣"', "number", "a number"),
        ('"1 "', "number", "a number"),
        ("1", "flag", "true or false"),
        ('"yes"', "flag", "true or false"),
        ("1", "text", "a text"),
        ("{}", "text", "a text"),
        ('"x"', "each", "an array"),
        ("[]", "members", "an object"),
    ],
)
def test_a_value_of_another_type_is_refused(value, reader, expected):
    with pytest.raises(DocumentError) as caught:
        getattr(read_json(f'{{"a":{value}}}').at("a"), reader)()
    assert (caught.value.path, caught.value.expected) == ("$.a", expected)


def test_array_elements_are_named_by_their_index():
    with pytest.raises(DocumentError, match=r"^\$\.a\[1\]\.b: expected a text, found 7$"):
        read_json('{"a":[{},{"b":7}]}').at("a").each()[1].at("b").text()


def test_a_byte_order_mark_is_tolerated():
    assert read_json(b'\xef\xbb\xbf{"a":1}').at("a").number() == 1
    assert read_json('\ufeff{"a":1}').at("a").number() == 1


def test_half_a_surrogate_pair_becomes_a_character_that_can_be_written():
    assert read_json(r'{"a":"x\ud800"}').at("a").text() == "x�"
    assert read_json(r'{"a":"\ud83d\ude00"}').at("a").text() == "😀"


def test_a_key_that_comes_twice_is_found_among_very_many():
    """Looking each one up in all the others would take minutes, and a body of IMDS may have a MiB."""
    body = "{" + "".join(f'"{n}":0,' for n in range(150_000)) + '"z":1,"z":2}'
    with pytest.raises(DocumentError, match="each key once, found 'z' 2 times"):
        read_json(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "$: expected JSON, found an empty body"),
        (b" \n", "$: expected JSON, found an empty body"),
        (b'{"userData":"hunter2', "$: expected JSON, found Unterminated string starting at character 12 of 20"),
        (b"<html>", "$: expected JSON, found Expecting value at character 0 of 6"),
        (b'{"a":"\xff"}', "$: expected UTF-8, found byte 0xff at 6 of 9"),
        (b'{"a":NaN}', "$: expected JSON, found NaN"),
        (b'{"a":-Infinity}', "$: expected JSON, found -Infinity"),
        (b'{"a":{"b":1,"c":2,"b":3}}', "$: expected each key once, found 'b' 2 times in one object"),
    ],
)
def test_what_is_not_strict_json_is_refused_without_showing_it(body, message):
    assert str(refusal(body)) == message


@pytest.mark.parametrize("number", ["1.5", "1e999", 20 * "9", 5000 * "9", "-" + 5000 * "9"])
def test_a_number_that_is_not_whole_or_too_long_spoils_only_its_place(number):
    root = read_json(f'{{"a":{number},"b":1}}')
    assert root.at("b").number() == 1
    with pytest.raises(DocumentError, match=r"^\$\.a: expected a number, found "):
        root.at("a").number()


@pytest.mark.parametrize("bracket", ["[", '{"a":'])
def test_brackets_without_end_are_refused_and_never_exhaust_the_stack(bracket):
    assert refusal(100_000 * bracket).found == "too many nested brackets"
