"""Qt: two language models and a picture, for as long as the window lives: `on_qt` sees to it."""

import base64

from PySide6.QtCore import Qt
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QApplication, QGridLayout, QLabel, QLineEdit, QPushButton, QWidget
from reactivex.disposable import SerialDisposable

import rxfal
from rxfal import operators as ops
from rxfal import ui


def text(model: str, prompt: str) -> rxfal.Stream[str]:
    return rxfal.stream(model, {"prompt": prompt}).pipe(ops.text(), ops.throttle_latest(1 / 30))


class Window(QWidget):
    def __init__(self) -> None:
        super().__init__(windowTitle="rxfal and Qt")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)  # or closing would only hide it
        self.running = SerialDisposable()  # holds one subscription; the next one ends it
        self.prompt = QLineEdit("a lighthouse in a storm")
        start, stop = QPushButton("Start"), QPushButton("Stop")
        start.clicked.connect(self.start)
        stop.clicked.connect(self.stop)
        self.places = {name: QLabel(wordWrap=True) for name in ("llm", "bard", "picture")}
        grid = QGridLayout(self)
        for column, label in enumerate(self.places.values()):
            label.setFixedWidth(260)
            grid.addWidget((self.prompt, start, stop)[column], 0, column)
            grid.addWidget(label, 1, column, Qt.AlignmentFlag.AlignTop)

    def start(self) -> None:
        prompt = self.prompt.text()
        llm, bard = text("fal-ai/any-llm", prompt), text("rxfal/bard", prompt)
        passes = rxfal.stream("fal-ai/fast-julia", {"prompt": prompt})
        picture = passes.map(lambda event: event["images"][0]["url"])
        answers = rxfal.merge(llm=llm, bard=bard, picture=picture, errors="items")
        self.running.disposable = answers.pipe(ui.on_qt(self)).subscribe(self.show_answer)

    def show_answer(self, answer: rxfal.Tagged[str | Exception]) -> None:
        if answer.tag == "picture" and not answer.error:
            pixels = QPixmap()
            pixels.loadFromData(base64.b64decode(answer.value.partition(",")[2]))
            self.places[answer.tag].setPixmap(pixels)
        else:
            self.places[answer.tag].setText(str(answer.value))

    def stop(self) -> None:
        self.running.disposable = None


if __name__ == "__main__":
    app = QApplication()
    window = Window()
    window.show()
    app.exec()
