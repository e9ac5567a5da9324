"""A transport to environments in threads of this process."""

import queue
import threading
import time

from mlagents.envs.worker import EnvHost, Failed, Order, SetParameters
from mlagents_envs.exception import UnityException


class ThreadTransport:
    def __init__(self, index, env_id, make, arrived):
        self.orders, self.messages = queue.Queue(), queue.Queue()
        self.host, self.arrived = None, arrived
        self.thread = threading.Thread(target=self._serve, args=(index, env_id, make), daemon=True)
        self.thread.start()

    def send(self, order):
        self.orders.put(order)

    def receive(self):
        return self.messages.get()

    def block(self, behavior, spec):
        return self.host.block(behavior)

    def end(self, patience):
        self.orders.put(Order.CLOSE)
        self.thread.join(patience)

    def _serve(self, index, env_id, make):
        try:
            self.host = EnvHost(make(index), env_id)
            while (order := self.orders.get()) is not Order.CLOSE:
                self.host.execute(order)
                if not isinstance(order, SetParameters):
                    self._put(self.host.report(order.exchange))
        except UnityException as error:
            self._put(Failed(str(error), stopped=False))

    def _put(self, message):
        self.messages.put(message)
        self.arrived.set()


class Threads:
    def __init__(self):
        self.arrived = threading.Event()

    def start(self, index, env_id, make):
        return ThreadTransport(index, env_id, make, self.arrived)

    def ready(self, among, timeout):
        until = time.monotonic() + timeout
        while True:
            self.arrived.clear()
            found = [transport for transport in among if not transport.messages.empty()]
            if found or not self.arrived.wait(max(0.0, until - time.monotonic())):
                return found
