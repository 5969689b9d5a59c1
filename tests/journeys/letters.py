"""The sent e-mails as a mail client reads them, from the folder where the portal writes them."""

import email
import re
from email.policy import default

BETWEEN = re.compile(rb"^-{79}\n", re.MULTILINE)


def letters(folder):
    """Every e-mail in a mail folder, oldest file first."""
    files = sorted(folder.glob("*.log")) if folder.exists() else []
    texts = (text for file in files for text in BETWEEN.split(file.read_bytes()))
    return [email.message_from_bytes(text, policy=default) for text in texts if text.strip()]


def letters_to(folder, address):
    """The e-mails to one person: subject and text, in the order of sending."""
    found = [one for one in letters(folder) if one["To"] == address]
    return [(one["Subject"], one.get_content()) for one in found]
