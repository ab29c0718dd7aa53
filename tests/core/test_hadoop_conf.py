"""Hadoop's configuration as Hadoop reads it; tests/hdfs/test_doctor.py asks Hadoop itself."""

import pytest

from agent.core.document import DocumentError
from agent.core.hadoop_conf import LARGEST, ConfFile, HadoopConf, Property, merged, read_conf


def one(inside: str) -> ConfFile:
    return read_conf(f'<?xml version="1.0"?><configuration>{inside}</configuration>'.encode())


def conf(**values: str) -> HadoopConf:
    return HadoopConf(values={name.replace("_", "."): value for name, value in values.items()})


def test_names_lose_their_blanks_and_values_keep_theirs():
    found = one("<property><name> a.b </name><value>\n /x\n</value><final>true</final></property>")
    assert found == ConfFile(properties=(Property(name="a.b", value="\n /x\n", final=True),))


def test_attributes_remarks_and_other_elements_are_read_as_hadoop_does():
    found = one(
        '<property name="a" value="1"/><property name="b" value="1"><value>x<!-- c --><![CDATA[<y>]]></value></property>'
        "<other><property><name>c</name><value>3</value><description>of c</description></property></other>"
        "<property><value>nobody's</value></property>"
    )
    assert {each.name: each.value for each in found.properties} == {"a": "1", "b": "x<y>", "c": "3"}


def test_an_empty_value_is_none_and_leaves_what_was_given_before():
    files = [one("<property><name>a</name><value>1</value></property>"), one("<property><name>a</name><value/></property>")]  # fmt: skip
    assert merged(files).values == {"a": "1"}


def test_the_last_value_counts_unless_an_earlier_one_was_final():
    first = one("<property><name>a</name><value>1</value><final>true</final></property><property><name>b</name><value>1</value></property>")  # fmt: skip
    second = one("<property><name>a</name><value>2</value></property><property><name>b</name><value>2</value><final> true </final></property>")  # fmt: skip
    third = one("<property><name>b</name><value>3</value></property>")
    assert merged([first, second, third]).values == {"a": "1", "b": "3"}


def test_an_old_name_stands_for_the_new_one():
    found = merged([one("<property><name>topology.script.file.name</name><value>/s</value></property>")])
    assert found.values == {"net.topology.script.file.name": "/s"}


def test_an_include_is_said_and_not_followed():
    found = one('<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="/etc/passwd"/><xi:include/>')
    assert found == ConfFile(includes=("/etc/passwd", ""))
    assert one('<include href="more.xml"/>').includes == ("more.xml",)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "line 1: expected XML, found no element found"),
        (b"<configuration>\n<property>", "line 2: expected XML, found no element found"),
        (b"<configuration></configuration></x>", "line 1: expected XML, found not well-formed (invalid token)"),
        (b"\n<html/>", "line 1: expected <configuration>, found <html>"),
        (
            b'<!DOCTYPE c [<!ENTITY x SYSTEM "file:///etc/passwd">]><configuration>&x;</configuration>',
            "line 1: expected no document type, found <!DOCTYPE",
        ),
        (b"<configuration/>" + b" " * LARGEST, f"size: expected at most {LARGEST} bytes, found {LARGEST + 16}"),
    ],
)
def test_what_is_no_configuration_is_refused_with_its_place(body, said):
    with pytest.raises(DocumentError) as caught:
        read_conf(body)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({}, None),
        ({"a": "plain"}, "plain"),
        ({"a": "${b}/bin/${c}", "b": "/opt", "c": "x"}, "/opt/bin/x"),
        ({"a": "${b.${c}}", "b.x": "nested", "c": "x"}, "nested"),
        ({"a": "${b}/${none}/${b}", "b": "/opt"}, "/opt/${none}/${b}"),
        ({"a": "${env.HOME}/x"}, "${env.HOME}/x"),
        ({"a": "${a}"}, "${a}"),
        ({"a": "$ {b} ${b c} ${}", "b": "1"}, "$ {b} ${b c} ${}"),
    ],
)
def test_variables_are_replaced_as_hadoop_replaces_them(values, found):
    assert HadoopConf(values=values).raw("a") == found


def test_a_value_that_grows_without_end_ends():
    grown = conf(a="x${a}")
    assert grown.raw("a") == "x" * 21 + "${a}"
    assert grown.is_open("a")


def test_texts_flags_and_numbers_have_defaults():
    found = conf(a=" x ", yes=" TRUE ", no="false", odd="perhaps", ten=" 10 ", hex="0x10", less="-0x1")
    assert (found.text("a"), found.text("b"), found.text("b", "c")) == ("x", "", "c")
    assert found.flag("yes", default=False)
    assert not found.flag("no", default=True)
    assert found.flag("odd", default=True)
    assert [found.number(name, 7) for name in ("ten", "hex", "less", "none")] == [10, 16, -1, 7]
    assert not found.is_open("a")
    with pytest.raises(DocumentError, match="odd: expected a whole number, found 'perhaps'"):
        found.number("odd", 1)
