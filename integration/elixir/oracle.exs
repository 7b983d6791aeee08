# Runs scenarios on Elixir's own Registry and prints what each step answers.   elixir oracle.exs FILE
#
# An actor is a process that registers by itself, as Elixir demands; one that was killed is followed by another under the
# same label. What is told to listeners stands behind the answer of the step that caused it.
defmodule Actor do
  def loop do
    receive do
      {from, ref, work} -> send(from, {ref, work.()})
    end
    loop()
  end
end

defmodule Oracle do
  def run(file) do
    File.read!(file) |> String.split("\n", trim: true) |> Enum.reduce(nil, &line/2)
  end

  defp line("scenario " <> kind, _), do: begin(String.to_atom(kind))

  defp line(text, state) do
    [step | words] = String.split(text)
    {answer, state} = perform(step, words, state)
    settle(state)
    IO.puts("#{text} -> #{answer}#{told(state)}")
    state
  end

  defp begin(kind) do
    name = :"r#{System.unique_integer([:positive])}"
    listener = :"l#{System.unique_integer([:positive])}"
    # A new process, so that listeners of one scenario hear nothing of another.
    pid = spawn_link(fn -> listen([]) end)
    Process.register(pid, listener)
    {:ok, _} = Registry.start_link(keys: kind, name: name, partitions: 1, listeners: [listener])
    IO.puts("scenario #{kind}")
    %{name: name, listener: pid, actors: Map.new(0..3, &{"p#{&1}", spawn(Actor, :loop, [])})}
  end

  defp listen(heard) do
    receive do
      {:give, to} -> send(to, {:heard, Enum.reverse(heard)}); listen([])
      event -> listen([event | heard])
    end
  end

  # Everything that was sent has been done.
  defp settle(s) do
    for {_, pid, _, _} <- Supervisor.which_children(s.name), do: :sys.get_state(pid)
  end

  defp told(s) do
    send(s.listener, {:give, self()})
    events = receive do {:heard, e} -> e end
    labels = Map.new(s.actors, fn {l, p} -> {p, l} end) |> Map.merge(Process.get(:dead, %{}))
    Process.delete(:dead)
    events
    |> Enum.map(fn
      {:register, _, key, pid, value} -> "+#{key}:#{labels[pid]}:#{value}"
      {:unregister, _, key, pid} -> "-#{key}:#{labels[pid]}"
    end)
    |> Enum.sort()
    |> Enum.map_join("", &(" " <> &1))
  end

  defp within(s, who, work) do
    ref = make_ref()
    send(s.actors[who], {self(), ref, work})
    receive do {^ref, answer} -> answer end
  end

  defp label(s, pid), do: Enum.find_value(s.actors, fn {l, p} -> if p == pid, do: l end)
  defp entries(s, list), do: Enum.map_join(list, " ", fn {pid, value} -> "#{label(s, pid)}:#{value}" end)

  defp perform("register", [who, key, value], s) do
    me = s.actors[who]
    answer =
      case within(s, who, fn -> Registry.register(s.name, key, value) end) do
        {:ok, _} -> "ok"
        {:error, {:already_registered, ^me}} -> "ok" # ours takes it as done
        {:error, {:already_registered, pid}} -> "held #{label(s, pid)}"
      end
    {answer, s}
  end

  defp perform("unregister", [who, key], s) do
    held = Registry.values(s.name, key, s.actors[who]) != []
    answer = within(s, who, fn -> Registry.unregister(s.name, key) end)
    if !held, do: told(s) # Elixir tells listeners also of what was not there
    {to_string(answer), s}
  end

  defp perform("lookup", [key], s), do: {entries(s, Registry.lookup(s.name, key)), s}
  defp perform("keys", [who], s), do: {Registry.keys(s.name, s.actors[who]) |> Enum.sort() |> Enum.join(" "), s}
  defp perform("values", [who, key], s), do: {Registry.values(s.name, key, s.actors[who]) |> Enum.join(" "), s}
  defp perform("count", [], s), do: {to_string(Registry.count(s.name)), s}

  defp perform("select", [], s) do
    all = Registry.select(s.name, [{{:"$1", :"$2", :"$3"}, [], [{{:"$1", :"$2", :"$3"}}]}])
    {all |> Enum.map(fn {k, p, v} -> "#{k}:#{label(s, p)}:#{v}" end) |> Enum.sort() |> Enum.join(" "), s}
  end

  defp perform("dispatch", [key], s) do
    Process.put(:seen, "-")
    Registry.dispatch(s.name, key, fn list -> Process.put(:seen, entries(s, list)) end)
    {Process.get(:seen), s}
  end

  defp perform("update", [who, key, value], s) do
    answer =
      case within(s, who, fn -> Registry.update_value(s.name, key, fn _ -> value end) end) do
        {new, old} -> "#{new} #{old}"
        :error -> "error"
      end
    {answer, s}
  end

  defp perform("put_meta", [key, value], s), do: {to_string(Registry.put_meta(s.name, String.to_atom(key), value)), s}

  defp perform("meta", [key], s) do
    case Registry.meta(s.name, String.to_atom(key)) do
      {:ok, value} -> {value, s}
      :error -> {"-", s}
    end
  end

  defp perform("kill", [who], s) do
    pid = s.actors[who]
    ref = Process.monitor(pid)
    Process.exit(pid, :kill)
    receive do {:DOWN, ^ref, _, _, _} -> :ok end
    settle(s)
    Process.put(:dead, %{pid => who})
    {"ok", %{s | actors: Map.put(s.actors, who, spawn(Actor, :loop, []))}}
  end
end

[file] = System.argv()
Oracle.run(file)
