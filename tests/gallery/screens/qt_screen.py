"""The Qt example in a window that nobody sees."""

import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"

from commands import answer, background_readers, example
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QLabel, QPushButton
from window_commands import obey

app = QApplication()
window = example("qt_app").Window()
window.show()


def run(command: list[str] | None) -> None:
    match command:
        case ["press", name]:
            next(button for button in window.findChildren(QPushButton) if button.text() == name).click()
            answer()
        case ["read"]:
            labels = window.findChildren(QLabel)
            pictures = [str(label.pixmap().cacheKey()) for label in labels if not label.pixmap().isNull()]
            answer({"text": "\n".join(label.text() for label in labels), "picture": "".join(pictures)})
        case ["save", path]:
            window.grab().save(path)
            answer()
        case _:
            timer.stop()
            window.close()


timer = QTimer(interval=10)
timer.timeout.connect(lambda: obey(run))
timer.start()
app.exec()
answer(background_readers())
