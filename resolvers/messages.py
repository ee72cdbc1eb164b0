"""The sentences of refusals, in every language the server speaks.

A new language is a new column here; a test checks that every message has all of them, with the same holes.
"""

from enum import StrEnum

LANGUAGES = ("en", "ar")


class Message(StrEnum):
    """Which sentence; `{limit}` and the like are filled in by the refusal."""

    POST_NOT_FOUND = "post_not_found"
    USER_NOT_FOUND = "user_not_found"
    REPLY_TO_NOT_FOUND = "reply_to_not_found"
    NOT_YOUR_POST = "not_your_post"
    FOLLOW_SELF = "follow_self"
    BLOCK_SELF = "block_self"
    FOLLOW_BLOCKED = "follow_blocked"
    KEY_USED = "key_used"
    KEY_DELETED = "key_deleted"
    KEY_INVALID = "key_invalid"
    HANDLE_TAKEN = "handle_taken"
    HANDLE_INVALID = "handle_invalid"
    EMAIL_TAKEN = "email_taken"
    EMAIL_INVALID = "email_invalid"
    PASSWORD_INVALID = "password_invalid"  # noqa: S105 - the name of a sentence
    BAD_CREDENTIALS = "bad_credentials"
    SESSION_OVER = "session_over"
    TOO_MANY = "too_many"
    TEXT_BLANK = "text_blank"
    TEXT_TOO_LONG = "text_too_long"
    TEXT_CHARACTERS = "text_characters"
    TEXT_BIDI = "text_bidi"
    TEXT_INVALID = "text_invalid"


SENTENCES: dict[Message, tuple[str, str]] = {
    Message.POST_NOT_FOUND: ("This post is not available.", "هذا المنشور غير متاح."),
    Message.USER_NOT_FOUND: ("This account is not available.", "هذا الحساب غير متاح."),
    Message.REPLY_TO_NOT_FOUND: (
        "The post you are answering is not available.",
        "المنشور الذي ترد عليه غير متاح.",
    ),
    Message.NOT_YOUR_POST: ("Only its author can delete a post.", "لا يحذف المنشور إلا كاتبه."),
    Message.FOLLOW_SELF: ("You cannot follow yourself.", "لا يمكنك متابعة نفسك."),
    Message.BLOCK_SELF: ("You cannot block yourself.", "لا يمكنك حظر نفسك."),
    Message.FOLLOW_BLOCKED: (
        "You have blocked this account. Unblock it first, then follow it.",
        "لقد حظرت هذا الحساب. ألغِ الحظر أولًا ثم تابعه.",
    ),
    Message.KEY_USED: (
        "This idempotency key was used for another post. Use a new key.",
        "استُخدم هذا المفتاح لمنشور آخر. استخدم مفتاحًا جديدًا.",
    ),
    Message.KEY_DELETED: (
        "The post made with this idempotency key was deleted. Use a new key to post again.",
        "حُذف المنشور الذي أُنشئ بهذا المفتاح. استخدم مفتاحًا جديدًا للنشر ثانية.",
    ),
    Message.KEY_INVALID: (
        "An idempotency key has 1 to 128 characters and no control characters.",
        "طول المفتاح من 1 إلى 128 محرفًا بلا محارف تحكم.",
    ),
    Message.HANDLE_TAKEN: ("This handle is taken. Choose another.", "اسم المستخدم هذا محجوز. اختر غيره."),
    Message.HANDLE_INVALID: (
        "A handle has 3 to 30 characters: letters a to z, digits and _.",
        "اسم المستخدم من 3 إلى 30 محرفًا: حروف a إلى z وأرقام و _.",
    ),
    Message.EMAIL_TAKEN: (
        "This e-mail address has an account already. Sign in instead.",
        "لهذا البريد الإلكتروني حساب. سجّل الدخول بدلًا من ذلك.",
    ),
    Message.EMAIL_INVALID: (
        "This is not an e-mail address, such as name@example.org.",
        "هذا ليس عنوان بريد إلكتروني مثل name@example.org.",
    ),
    Message.PASSWORD_INVALID: (
        "A password has {low} to {limit} characters.",
        "كلمة المرور من {low} إلى {limit} محرفًا.",
    ),
    Message.BAD_CREDENTIALS: (
        "The login or the password is wrong.",
        "اسم الدخول أو كلمة المرور غير صحيحة.",
    ),
    Message.SESSION_OVER: ("This session is over. Sign in again.", "انتهت هذه الجلسة. سجّل الدخول من جديد."),
    Message.TOO_MANY: (
        "Too many attempts. Try again in {seconds} seconds.",
        "محاولات كثيرة. أعد المحاولة بعد {seconds} ثانية.",
    ),
    Message.TEXT_BLANK: ("Write something first.", "اكتب شيئًا أولًا."),
    Message.TEXT_TOO_LONG: (
        "This is too long: at most {limit} characters.",
        "النص طويل: {limit} محرفًا على الأكثر.",
    ),
    Message.TEXT_CHARACTERS: (
        "This contains control characters that cannot be shown. Remove them.",
        "يحتوي النص محارف تحكم لا يمكن عرضها. احذفها.",
    ),
    Message.TEXT_BIDI: (
        "This contains direction marks without their partner. Remove or close them.",
        "يحتوي النص علامات اتجاه بلا مقابل. احذفها أو أغلقها.",
    ),
    Message.TEXT_INVALID: ("This text cannot be used.", "لا يمكن استخدام هذا النص."),
}


def sentence(message: Message, language: str, values: dict[str, int | str]) -> str:
    """The sentence in a language of LANGUAGES, English for any other, with its holes filled."""
    index = LANGUAGES.index(language) if language in LANGUAGES else 0
    return SENTENCES[message][index].format(**values)


def best_language(accept: str | None) -> str:
    """The best of LANGUAGES for an Accept-Language header (RFC 9110, 12.5.4); English when there is none."""
    best, quality = "en", 0.0
    for part in (accept or "").split(",")[:32]:
        tag, _, parameters = part.strip().partition(";")
        weight = 1.0
        name, _, value = parameters.strip().partition("=")
        if name.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                continue
        language = "en" if tag == "*" else tag.partition("-")[0].lower()
        if language in LANGUAGES and weight > quality:
            best, quality = language, weight
    return best
