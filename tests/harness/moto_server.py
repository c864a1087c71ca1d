"""Serves moto with one thing mended: where it does not say what its JSON is, its framework calls it a page for people (`text/html`).

AWS always says it, and whoever reads AWS refuses pages.

    moto_server.py -H HOST -p PORT
"""
import flask
from moto.server import main


class Answer(flask.Response):
    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        if self.mimetype == "text/html" and self.is_sequence and self.get_data()[:1] in (b"{", b"["):
            self.mimetype = "application/json"


# Moto looks the class up at each answer.
flask.Response = Answer

if __name__ == "__main__":
    main()
