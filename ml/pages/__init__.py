"""The pages that people see on the model server; a page is one file here, with its template, and one entry below."""

from __future__ import annotations

from ml.pages.chat import CHAT
from ml.pages.customer import CUSTOMER
from ml.pages.sign_in import SIGN_IN_PAGE
from ml.serving.page import Page

PAGES: tuple[Page, ...] = (SIGN_IN_PAGE, CHAT, CUSTOMER)
