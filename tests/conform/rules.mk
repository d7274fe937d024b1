# libsmpp34 as the other party of the SMPP codec's test, in a program of its own. Built without
# sanitizers: it is our codec that is tested, and the library is not instrumented anyway.
tests $(OUT)/tests/smpp34_test: $(OUT)/tests/smpp34_peer
$(OUT)/tests/smpp34_peer: tests/conform/smpp34_peer.c
	@mkdir -p $(@D)
	$(say) PEER $<
	$(Q)$(CC) $(filter-out $(SAN),$(ALL_CFLAGS)) -o $@ $< -lsmpp34
