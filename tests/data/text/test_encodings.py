"""Which characters a file's bytes are: what is certain is never guessed."""

import pytest

from data.errors import DataError
from data.text.encodings import decode, is_encoding

pytestmark = pytest.mark.every_python
TIMES = "1\n00:00:01,000 --> 00:00:03,000\n"
RUSSIAN = "Привет, как дела? Сегодня мы готовим суп. Нарежьте лук и жарьте его десять минут."


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_is_certain(encoding):
    assert decode((TIMES + RUSSIAN).encode(encoding)) == (TIMES + RUSSIAN, None)
    assert decode((TIMES + RUSSIAN).encode(encoding), "cp1252") == (TIMES + RUSSIAN, None)


@pytest.mark.parametrize(
    ("text", "cut"),
    [(RUSSIAN, 1), ("wait\u2026", 1), ("おはよう", 1), ("おはよう", 2), ("naïve caf\u00e9 \U0001f600", 3)],
)
def test_a_broken_last_character_leaves_utf_8(text, cut):
    content = (TIMES + "é " + text).encode()[:-cut]
    found = decode(content, "cp1252")
    assert found.guess is None and found.text == content.decode(errors="replace")
    assert found.text.startswith(TIMES + "é " + text[:-2])


def test_a_broken_character_in_the_midst_leaves_utf_8():
    content = RUSSIAN.encode()
    assert decode(content[:10] + b"\xd0" + content[10:]) == (
        content[:10].decode() + "\ufffd" + content[10:].decode(),
        None,
    )


@pytest.mark.parametrize(
    ("text", "encoding", "guess"),
    [
        ("Прежде лук", "cp1251", "cp1251"),
        (RUSSIAN, "cp1251", "cp1251"),
        (RUSSIAN, "koi8_r", "koi8_r"),
        (RUSSIAN, "cp866", "cp866"),
        ("café crème, déjà vu", "cp1252", "cp1252"),
        ("die Straße über Köln", "cp1252", "cp1252"),
        ("it’s a “test” – don’t", "cp1252", "cp1252"),
        ("El niño corrió mañana por la montaña, ¿qué pasó?", "cp1252", "cp1252"),
        ("Dziś gotujemy zupę, pokrój cebulę i smaż dziesięć minut", "cp1250", "cp1250"),
        ("Καλημέρα, σήμερα μαγειρεύουμε", "cp1253", "cp1253"),
        ("שלום, היום אנחנו מבשלים מרק. חתכו את הבצל וטגנו אותו במשך עשר דקות", "cp1255", "cp1255"),
        ("مرحبا اليوم نطبخ الحساء. قطع البصل واقله لمدة عشر دقائق ثم أضف الملح", "cp1256", "cp1256"),
        ("今日は料理をします。玉ねぎを切ってください", "cp932", "cp932"),
        ("今天我们来做饭，先切洋葱，然后炒十分钟", "gb18030", "gb18030"),
        ("今天我們來做飯，先切洋蔥，然後炒十分鐘", "big5", "big5"),
        ("오늘은 요리를 합니다 양파를 썰어 주세요", "cp949", "cp949"),
        ("Wide, без метки", "utf-16-le", "utf-16-le"),
        ("Wide, без метки", "utf-16-be", "utf-16-be"),
    ],
)
def test_other_encodings_are_guessed(text, encoding, guess):
    assert decode((TIMES + text).encode(encoding)) == (TIMES + text, guess)


def test_a_given_encoding_is_taken_for_what_is_not_unicode():
    assert decode("Łódź".encode("cp1250"), "cp1250") == ("Łódź", None)
    assert decode("おはよう".encode("iso2022_jp"), "iso2022_jp") == ("おはよう", None)
    assert decode(b"a\xff\x81", "cp1252").text == "aÿ\ufffd"


def test_what_is_not_in_a_given_encoding_is_refused():
    with pytest.raises(DataError, match="cannot be read as idna"):
        decode(b"\xff" + b"a" * 70, "idna")


def test_what_python_has_no_text_encoding_for():
    assert is_encoding("cp1251") and is_encoding("Shift-JIS")
    assert not any(map(is_encoding, ["hex", "klingon", "", "a\0b"]))
    assert decode(b"") == ("", None)
